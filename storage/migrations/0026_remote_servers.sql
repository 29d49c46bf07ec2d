-- MCP servers of a platform as apps (mcp/remote). Each has a row in mcp_app, too, which carries its switch and what hangs
-- on an app: connections, policies.

create table remote_server (
  platform_id     uuid not null,
  app             text not null,
  title           text not null,
  description     text not null,
  url             text not null,
  auth            text not null check (auth in ('none', 'shared_header', 'user_header')),
  header_name     text,
  header_value    text,                    -- sealed; of shared_header
  protocol        text,                    -- that it last spoke
  server_name     text,
  server_version  text,
  refreshed_at    timestamptz,             -- when its tools were last read
  refresh_error   text,                    -- why they could not be read the last time
  refresh_due_at  timestamptz not null,
  failures        integer not null default 0,
  created_at      timestamptz not null,
  updated_at      timestamptz not null,
  primary key (platform_id, app),
  foreign key (platform_id, app) references mcp_app on delete cascade
);
create index remote_server_due on remote_server (refresh_due_at);
select assistiv_protect('remote_server');

-- One tool of such a server: what was approved and what the server says now.
create table remote_tool (
  platform_id     uuid not null,
  app             text not null,
  remote_name     text not null,
  approved        jsonb,                   -- the definition that is served; null: none yet
  approved_digest text,
  approved_at     timestamptz,
  seen            jsonb,                   -- the definition at the server; null: gone, or refused
  seen_digest     text,
  refused         text,                    -- why the definition at the server cannot be used
  changed_at      timestamptz not null,
  primary key (platform_id, app, remote_name),
  foreign key (platform_id, app) references remote_server on delete cascade
);
select assistiv_protect('remote_tool');
