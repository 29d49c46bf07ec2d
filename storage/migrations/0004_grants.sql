-- Which tools may be used (mcp/grants): the platform's policy per app, rules per end user, calls that wait for a decision.

create table tool_policy (
  platform_id uuid not null,
  app text not null,
  policy jsonb not null,
  primary key (platform_id, app),
  foreign key (platform_id, app) references mcp_app (platform_id, app) on delete cascade
);
select assistiv_protect('tool_policy');

create table tool_grant (
  platform_id uuid not null,
  end_user_id uuid not null,
  app text not null,
  key_id uuid,
  -- A primary key cannot hold a null: zero stands for "every key".
  key_slot uuid not null generated always as (coalesce(key_id, '00000000-0000-0000-0000-000000000000'::uuid)) stored,
  policy jsonb not null,
  primary key (platform_id, end_user_id, app, key_slot),
  foreign key (platform_id, end_user_id) references end_user (platform_id, end_user_id) on delete cascade,
  foreign key (platform_id, key_id) references api_key (platform_id, key_id) on delete cascade
);
create index tool_grant_by_key on tool_grant (platform_id, key_id) where key_id is not null;
select assistiv_protect('tool_grant');

create table approval (
  platform_id uuid not null,
  approval_id uuid not null,
  end_user_id uuid not null,
  connection_id uuid not null,
  app text not null,
  tool text not null,
  risk text not null,
  arguments_sha256 text not null,
  arguments text not null,  -- sealed by the vault
  status text not null check (status in ('pending', 'approved', 'denied', 'used', 'expired')),
  reason text not null default '',
  created_at timestamptz not null,
  expires_at timestamptz not null,
  decided_at timestamptz,
  primary key (platform_id, approval_id),
  foreign key (platform_id, end_user_id) references end_user (platform_id, end_user_id) on delete cascade,
  foreign key (platform_id, connection_id) references connection (platform_id, connection_id) on delete cascade
);
-- One open approval per identical call.
create unique index approval_open on approval (platform_id, end_user_id, connection_id, tool, arguments_sha256)
  where status in ('pending', 'approved');
create index approval_by_call on approval (platform_id, end_user_id, connection_id, tool, arguments_sha256, created_at);
create index approval_by_time on approval (platform_id, created_at);
create index approval_by_expiry on approval (expires_at);
select assistiv_protect('approval');
