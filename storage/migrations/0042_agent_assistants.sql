-- Assistants: agents with config, context and metadata of their own, in versions (agents/store/assistant_store.h). The
-- assistant that every agent has without being asked has rows only once it was changed.

create table agent_assistant (
  platform_id uuid not null,
  assistant_id uuid not null,
  agent_id uuid not null,  -- of the version that is current
  end_user_id uuid,        -- who made it; null: the platform
  version integer not null check (version > 0),
  latest_version integer not null check (latest_version >= version),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (platform_id, assistant_id),
  foreign key (platform_id, agent_id) references agent on delete cascade,
  foreign key (platform_id, end_user_id) references end_user (platform_id, end_user_id) on delete cascade
);
create index agent_assistant_by_agent on agent_assistant (platform_id, agent_id);
create index agent_assistant_by_user on agent_assistant (platform_id, end_user_id) where end_user_id is not null;
select assistiv_protect('agent_assistant');

create table agent_assistant_version (
  platform_id uuid not null,
  assistant_id uuid not null,
  version integer not null check (version > 0),
  agent_id uuid not null,
  name text not null,
  description text,
  config text not null,
  context text not null,
  metadata jsonb not null check (jsonb_typeof(metadata) = 'object'),
  created_at timestamptz not null default now(),
  primary key (platform_id, assistant_id, version),
  foreign key (platform_id, assistant_id) references agent_assistant on delete cascade,
  foreign key (platform_id, agent_id) references agent on delete cascade
);
create index agent_assistant_version_by_agent on agent_assistant_version (platform_id, agent_id);
select assistiv_protect('agent_assistant_version');
