-- Tasks of the MCP tasks extension: tool calls that go on after their request was answered, on any node.

create table mcp_task (
  platform_id uuid not null,
  task_id text not null,
  end_user_id uuid not null,
  key_id uuid not null,    -- the key that made the call, or the authorization behind its access token
  endpoint text not null,  -- the app of /mcp/{app}, '' for /mcp
  status text not null check (status in ('working', 'input_required', 'completed', 'failed', 'cancelled')),
  message text not null default '',
  call text not null,  -- sealed by the vault: tool, arguments, what the client is asked and has answered
  outcome text,        -- sealed by the vault: the result, or the error
  due_at timestamptz,  -- the next turn; while one runs, when its node counts as dead
  approval_id uuid,    -- a decision on it makes the task due
  runner text not null default '',  -- the node that runs a turn
  acting boolean not null default false,
  cancel_asked boolean not null default false,
  turns integer not null default 0,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  expires_at timestamptz not null,
  primary key (platform_id, task_id),
  foreign key (platform_id, end_user_id) references end_user (platform_id, end_user_id) on delete cascade
);
create index mcp_task_open on mcp_task (platform_id, end_user_id) where status in ('working', 'input_required');
create index mcp_task_due on mcp_task (due_at) where due_at is not null;
create index mcp_task_by_approval on mcp_task (platform_id, approval_id) where approval_id is not null;
create index mcp_task_expiry on mcp_task (expires_at);
select assistiv_protect('mcp_task');
