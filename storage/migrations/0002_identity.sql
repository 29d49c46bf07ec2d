-- Who there is: platforms (tenants), their end users, and the keys of both; operators' keys stand beside them.

create table platform (
  platform_id uuid primary key,
  name text not null,
  slug text not null constraint platform_slug_taken unique,
  settings jsonb not null default '{}' check (jsonb_typeof(settings) = 'object'),
  is_active boolean not null default true,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
select assistiv_protect('platform');

create table end_user (
  platform_id uuid not null references platform on delete cascade,
  end_user_id uuid not null,
  external_id text not null,
  display_name text,
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  is_active boolean not null default true,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (platform_id, end_user_id),
  unique (platform_id, external_id)
);
select assistiv_protect('end_user');

-- A key is known by the SHA-256 of its raw text; the text itself is nowhere.
create table api_key (
  platform_id uuid not null references platform on delete cascade,
  key_id uuid not null,
  end_user_id uuid,
  kind text not null check (kind in ('platform', 'end_user')),
  key_prefix text not null,
  key_hash bytea not null check (octet_length(key_hash) = 32),
  name text,
  scopes text[] not null,
  is_active boolean not null default true,
  last_used_at timestamptz,
  expires_at timestamptz,
  created_at timestamptz not null,
  primary key (platform_id, key_id),
  foreign key (platform_id, end_user_id) references end_user on delete cascade,
  check ((kind = 'end_user') = (end_user_id is not null))
);
-- platform_id is in it because a sharded table's unique index must hold the sharding column.
create unique index api_key_by_hash on api_key (key_hash, platform_id);
create index api_key_by_owner on api_key (platform_id, kind, end_user_id, key_id);
select assistiv_protect('api_key');

create table operator_key (
  key_id uuid primary key,
  key_prefix text not null,
  key_hash bytea not null unique check (octet_length(key_hash) = 32),
  name text,
  scopes text[] not null,
  is_active boolean not null default true,
  last_used_at timestamptz,
  expires_at timestamptz,
  created_at timestamptz not null
);
-- No tenant owns these: only the system's own transactions see them.
alter table operator_key enable row level security;
alter table operator_key force row level security;
create policy system_only on operator_key using ((select current_setting('assistiv.system', true)) = 'on');
