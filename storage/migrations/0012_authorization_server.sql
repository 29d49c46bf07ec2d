-- The authorization server for MCP clients (oauth/authorize): its signing keys, the clients it knows, how end users
-- sign in, and what they allowed which client. Columns that hold sealed texts are listed in authorize_sealed_columns().

-- The server's own, of no tenant: platform_id is zero, so that re-encryption finds the rows as it finds all others.
create table oauth_signing_key (
  platform_id uuid not null check (platform_id = '00000000-0000-0000-0000-000000000000'),
  kid         text not null,
  public_jwk  text not null,
  private_jwk text not null,               -- sealed
  active_from timestamptz not null,        -- published before it signs
  created_at  timestamptz not null,
  expires_at  timestamptz not null,        -- nothing that it signed is valid any more
  primary key (platform_id, kid)
);
select assistiv_protect('oauth_signing_key');

-- Clients register before anybody has signed in, so they belong to no tenant: what a client may do is in
-- client_authorization. A row is a registration (RFC 7591) or a cached client ID metadata document.
create table oauth_client (
  client_id    text primary key,
  kind         text not null check (kind in ('registered', 'document')),
  metadata     jsonb not null,
  secret_hash  text,                       -- SHA-256, hex; null: a public client
  created_at   timestamptz not null,
  last_used_at timestamptz,                -- when somebody last allowed it something
  expires_at   timestamptz not null
);
create index oauth_client_by_age on oauth_client (kind, expires_at);
alter table oauth_client enable row level security;
alter table oauth_client force row level security;
create policy system_only on oauth_client using ((select current_setting('assistiv.system', true)) = 'on');

create table sign_in_link (
  platform_id uuid not null,
  token_hash  text not null,               -- SHA-256, hex
  end_user_id uuid not null,
  created_by  uuid,                        -- the key
  created_at  timestamptz not null,
  expires_at  timestamptz not null,
  consumed_at timestamptz,
  primary key (platform_id, token_hash),
  foreign key (platform_id, end_user_id) references end_user on delete cascade
);
create index sign_in_link_by_token on sign_in_link (token_hash);
create index sign_in_link_by_age on sign_in_link (expires_at);
select assistiv_protect('sign_in_link');

create table sign_in_session (
  platform_id  uuid not null,
  session_hash text not null,              -- SHA-256 of the cookie, hex
  end_user_id  uuid not null,
  key_id       uuid,                       -- the end user's key that was pasted; null: a link was used
  created_at   timestamptz not null,
  expires_at   timestamptz not null,
  primary key (platform_id, session_hash),
  foreign key (platform_id, end_user_id) references end_user on delete cascade,
  foreign key (platform_id, key_id) references api_key (platform_id, key_id) on delete cascade
);
create index sign_in_session_by_hash on sign_in_session (session_hash);
create index sign_in_session_by_age on sign_in_session (expires_at);
select assistiv_protect('sign_in_session');

-- What an end user allowed a client. To revoke it is to delete the row.
create table client_authorization (
  platform_id        uuid not null,
  authorization_id   uuid not null,
  end_user_id        uuid not null,
  key_id             uuid,                 -- the key that its user signed in with: what binds the key binds this too
  client_id          text not null,
  client_name        text not null,
  redirect_uri       text not null,
  resource           text not null,        -- the one MCP URL that its tokens are good for
  scopes             text[] not null,
  tools              jsonb not null,       -- what was allowed: {app: policy}, "*" for every other app
  code_hash          text not null,        -- SHA-256, hex
  code_challenge     text not null,
  code_expires_at    timestamptz not null,
  code_used_at       timestamptz,
  refresh_secret     text,                 -- sealed; null: no refresh tokens
  refresh_generation integer not null default 0,
  refreshed_at       timestamptz,
  created_at         timestamptz not null,
  last_used_at       timestamptz,
  expires_at         timestamptz not null,
  primary key (platform_id, authorization_id),
  foreign key (platform_id, end_user_id) references end_user on delete cascade,
  foreign key (platform_id, key_id) references api_key (platform_id, key_id) on delete cascade
);
create index client_authorization_by_id on client_authorization (authorization_id);
create index client_authorization_by_user on client_authorization (platform_id, end_user_id);
create index client_authorization_by_age on client_authorization (expires_at);
select assistiv_protect('client_authorization');
