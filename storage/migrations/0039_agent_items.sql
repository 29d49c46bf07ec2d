-- The memory of agents: items by namespace and key, of an end user or of the platform itself.
create table agent_item (
  platform_id uuid not null references platform on delete cascade,
  owner_id uuid not null,  -- the end user, or the platform
  end_user_id uuid,
  path text collate "C" not null,  -- the labels of the namespace, each followed by "."
  item_key text collate "C" not null,
  value text not null,    -- as it was written
  search jsonb not null,  -- the same, to be compared with
  ttl_minutes integer check (ttl_minutes > 0),
  expires_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (platform_id, owner_id, path, item_key),
  foreign key (platform_id, end_user_id) references end_user (platform_id, end_user_id) on delete cascade,
  check (owner_id = coalesce(end_user_id, platform_id))
);
create index agent_item_search on agent_item using gin (search jsonb_path_ops);
create index agent_item_expiry on agent_item (expires_at) where expires_at is not null;
create index agent_item_by_user on agent_item (platform_id, end_user_id) where end_user_id is not null;
select assistiv_protect('agent_item');
