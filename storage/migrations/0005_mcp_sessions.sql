-- Sessions of legacy MCP clients (2024-11-05 to 2025-11-25), and the events of the streams that answered their calls, so
-- that a session goes on after a restart and on any node.

create table mcp_session (
  platform_id uuid not null,
  session_id text not null,
  end_user_id uuid not null,
  endpoint text not null,  -- the app of /mcp/{app}, '' for /mcp
  protocol_version text not null,
  client text not null,        -- clientInfo as it was sent
  capabilities text not null,  -- the client's capabilities as they were sent
  log_level text not null default '',
  list_etag text not null default '',  -- of the tool list that the client was shown last
  subscriptions text[] not null default '{}',
  created_at timestamptz not null,
  used_at timestamptz not null,
  primary key (platform_id, session_id),
  foreign key (platform_id, end_user_id) references end_user (platform_id, end_user_id) on delete cascade
);
create index mcp_session_of_user on mcp_session (platform_id, end_user_id, used_at);
create index mcp_session_idle on mcp_session (used_at);
select assistiv_protect('mcp_session');

create table mcp_stream_event (
  platform_id uuid not null,
  session_id text not null,
  stream_id text not null,
  seq bigint not null,
  data text not null,
  is_last boolean not null,
  position bigint generated always as identity,  -- the order within the session: the oldest go first
  primary key (platform_id, session_id, stream_id, seq),
  foreign key (platform_id, session_id) references mcp_session (platform_id, session_id) on delete cascade
);
create index mcp_stream_event_order on mcp_stream_event (platform_id, session_id, position);
select assistiv_protect('mcp_stream_event');
