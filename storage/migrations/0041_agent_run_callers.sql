-- Who asked for a run of an agent, and what the threads of parked runs wait for.

alter table agent_run add column key_id uuid;  -- what the caller came with: it must stand when the run is carried out
alter table agent_run add column traceparent text not null default '';
alter table agent_run add column max_wait_ms bigint;  -- that it may be parked

alter table agent_cron add column key_id uuid;  -- what its maker came with

-- One row for each open interrupt that something else than an answer can settle. Made when a run parks, in the same
-- transaction; a row whose interrupt is not open any more means nothing.
create table agent_wait (
  platform_id uuid not null,
  thread_id uuid not null,
  interrupt_id text not null,
  run_id uuid not null,  -- that was parked
  end_user_id uuid,
  kind text not null check (kind in ('answer', 'connection', 'approval')),
  subject text not null default '',  -- the id of the approval
  expires_at timestamptz,            -- then it is answered with {"__expired__": true}
  primary key (platform_id, thread_id, interrupt_id),
  foreign key (platform_id, thread_id) references agent_thread on delete cascade
);
create index agent_wait_expiry on agent_wait (expires_at) where expires_at is not null;
create index agent_wait_connection on agent_wait (platform_id, end_user_id) where kind = 'connection';
create index agent_wait_approval on agent_wait (platform_id, subject) where kind = 'approval';
select assistiv_protect('agent_wait');
