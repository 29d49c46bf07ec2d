-- The agents of a platform (agents/store/agent_service.h): who may use them, and every version of what they are.

create table agent (
  platform_id    uuid not null references platform on delete cascade,
  agent_id       uuid not null,
  slug           text not null,
  name           text not null,
  description    text not null,
  is_active      boolean not null,
  for_everyone   boolean not null,         -- else for the end users in agent_end_user
  metadata       text not null,            -- JSON object
  active_version integer not null check (active_version > 0),
  latest_version integer not null check (latest_version > 0),
  created_at     timestamptz not null,
  updated_at     timestamptz not null,
  primary key (platform_id, agent_id),
  unique (platform_id, slug)
);
create index agent_by_age on agent (platform_id, created_at);
select assistiv_protect('agent');

-- Never changed: a run keeps the version it began with.
create table agent_version (
  platform_id uuid not null,
  agent_id    uuid not null,
  version     integer not null check (version > 0),
  spec        text not null,               -- JSON: instructions, model, apps, tools, limits
  definition  text not null,               -- JSON: the graph, given or made ready
  created_at  timestamptz not null,
  primary key (platform_id, agent_id, version),
  foreign key (platform_id, agent_id) references agent on delete cascade
);
select assistiv_protect('agent_version');

create table agent_end_user (
  platform_id uuid not null,
  agent_id    uuid not null,
  end_user_id uuid not null,
  primary key (platform_id, agent_id, end_user_id),
  foreign key (platform_id, agent_id) references agent on delete cascade,
  foreign key (platform_id, end_user_id) references end_user on delete cascade
);
create index agent_end_user_by_user on agent_end_user (platform_id, end_user_id);
select assistiv_protect('agent_end_user');
