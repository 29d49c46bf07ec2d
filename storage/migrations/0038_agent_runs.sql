-- What is kept of agents' threads and runs (agents/store/), and the queue of runs.
--
-- JSON that clients get back as it was written is text: jsonb has no U+0000, no -0.0 and an order of its own. What is
-- searched by containment is jsonb.

-- JSON text as jsonb; U+0000, which jsonb refuses, becomes U+FFFD.
create function assistiv_jsonb(document text) returns jsonb
  language sql immutable strict parallel safe
  return case when position('\u0000' in document) = 0 then document::jsonb
    else regexp_replace(document, '(?<!\\)((?:\\\\)*)\\u0000', '\1\\ufffd', 'g')::jsonb end;

create table agent_thread (
  platform_id uuid not null references platform on delete cascade,
  thread_id uuid not null,
  end_user_id uuid,  -- null: the platform's own
  is_temporary boolean not null default false,  -- made for one run that names no thread; never listed
  status text not null default 'idle' check (status in ('idle', 'busy', 'interrupted', 'error')),
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  config text not null default '{}',
  state_values text,  -- of the head, when the last run ended or the state was updated
  interrupts text not null default '{}',
  error text,
  head_id uuid,  -- the checkpoint of the root that the next run goes on from
  last_seq bigint not null default 0,  -- of agent_event
  ttl_minutes integer check (ttl_minutes > 0),
  ttl_strategy text check (ttl_strategy in ('delete', 'keep_latest')),
  expires_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  state_updated_at timestamptz,
  primary key (platform_id, thread_id),
  foreign key (platform_id, end_user_id) references end_user (platform_id, end_user_id) on delete cascade
) with (fillfactor = 80);
create index agent_thread_by_time on agent_thread (platform_id, updated_at) where not is_temporary;
create index agent_thread_by_user on agent_thread (platform_id, end_user_id, updated_at) where end_user_id is not null;
create index agent_thread_metadata on agent_thread using gin (metadata jsonb_path_ops);
create index agent_thread_expiry on agent_thread (expires_at) where expires_at is not null;
select assistiv_protect('agent_thread');

create table agent_run (
  platform_id uuid not null,
  run_id uuid not null,
  thread_id uuid not null,
  agent_id uuid not null,          -- pinned: a run ends on the version that it began with
  agent_version integer not null,
  assistant_id uuid not null,
  status text not null check (status in ('pending', 'running', 'success', 'error', 'timeout', 'interrupted')),
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  kwargs text not null,
  multitask_strategy text not null check (multitask_strategy in ('reject', 'enqueue', 'interrupt', 'rollback')),
  keep_thread boolean not null default true,  -- of a temporary thread: on_completion "keep"
  idempotency_key text,  -- whose it is, and their own word
  fingerprint text,
  cron_id uuid,
  cron_slot timestamptz,
  webhook text,
  due_at timestamptz not null,
  attempt integer not null default 0,
  owner text not null default '',
  epoch bigint not null default 0,    -- the fencing token: one more with every claim and every loss
  journal bigint not null default 0,  -- appends under this epoch, so that one in doubt is not made twice
  lease_until timestamptz,
  cancel_action text check (cancel_action in ('interrupt', 'rollback')),
  base_head_id uuid,                  -- the thread's head when the run was first claimed: rollback goes back there
  base_interrupts text,
  base_seq bigint not null default 0, -- the run's events come after it
  usage text not null default '{}',
  error text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  started_at timestamptz,
  ended_at timestamptz,
  primary key (platform_id, run_id),
  foreign key (platform_id, thread_id) references agent_thread on delete cascade,
  check ((status = 'running') = (owner <> '')),
  check ((status = 'running') = (lease_until is not null))
) with (fillfactor = 70);
-- One live executor for each thread, whatever the claimers believe.
create unique index agent_run_active on agent_run (platform_id, thread_id) where status = 'running';
create index agent_run_open on agent_run (platform_id, thread_id, due_at, run_id) where status in ('pending', 'running');
create index agent_run_queue on agent_run (due_at, run_id) where status = 'pending';
create index agent_run_lease on agent_run (lease_until) where status = 'running';
create index agent_run_by_thread on agent_run (platform_id, thread_id, run_id);
create unique index agent_run_once on agent_run (platform_id, idempotency_key) where idempotency_key is not null;
create unique index agent_run_slot on agent_run (platform_id, cron_id, cron_slot) where cron_id is not null;
select assistiv_protect('agent_run');

-- The four below belong to a thread and go with it by the trigger: a foreign key would look the thread up again for
-- every row of every super-step.

create table agent_checkpoint (
  platform_id uuid not null,
  thread_id uuid not null,
  checkpoint_ns text not null,  -- '' is the root
  checkpoint_id uuid not null,  -- version 6: its order is the order in time
  parent_id uuid,
  run_id uuid,
  step integer not null,
  source text not null check (source in ('input', 'loop', 'update', 'fork')),
  metadata text not null,
  at timestamptz not null,
  is_whole boolean not null,  -- else body is what changed since the parent
  body text not null,
  places text[] not null default '{}',   -- JSON pointers in body that are null there, ...
  digests text[] not null default '{}',  -- ... and the blobs that belong there
  primary key (platform_id, thread_id, checkpoint_ns, checkpoint_id)
);
select assistiv_protect('agent_checkpoint');

-- Big values, once for each thread and content.
create table agent_blob (
  platform_id uuid not null,
  thread_id uuid not null,
  digest text not null,  -- SHA-256 of the body, hex
  body text not null,
  primary key (platform_id, thread_id, digest)
);
select assistiv_protect('agent_blob');

-- Facts about a task before its step ends (agents/runtime/journal.h).
create table agent_task (
  platform_id uuid not null,
  thread_id uuid not null,
  checkpoint_id uuid not null,  -- the one that the task was planned from
  task_id text not null,
  fact text not null,
  fact_key text not null,
  value text not null,
  primary key (platform_id, thread_id, checkpoint_id, task_id, fact, fact_key)
);
select assistiv_protect('agent_task');

create table agent_event (
  platform_id uuid not null,
  thread_id uuid not null,
  seq bigint not null,  -- without gaps in a thread
  run_id uuid not null,
  method text not null,
  checkpoint_ns text not null default '',
  node text not null default '',
  at timestamptz not null default now(),
  data text not null,
  primary key (platform_id, thread_id, seq)
);
create index agent_event_by_time on agent_event using brin (at);
select assistiv_protect('agent_event');

create function assistiv_agent_thread_gone() returns trigger language plpgsql as $$
begin
  delete from agent_checkpoint where platform_id = old.platform_id and thread_id = old.thread_id;
  delete from agent_blob where platform_id = old.platform_id and thread_id = old.thread_id;
  delete from agent_task where platform_id = old.platform_id and thread_id = old.thread_id;
  delete from agent_event where platform_id = old.platform_id and thread_id = old.thread_id;
  return null;
end $$;
create trigger agent_thread_gone after delete on agent_thread
  for each row execute function assistiv_agent_thread_gone();
