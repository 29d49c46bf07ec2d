-- Apps, the connect flow, connections and their credentials (oauth/connect). Columns that hold sealed texts
-- (JWE, see oauth/crypto/vault.h) are listed in connect_sealed_columns().

create table mcp_app (
  platform_id   uuid not null references platform on delete cascade,
  app           text not null,
  client_id     text not null,
  client_secret text not null,             -- sealed
  return_urls   jsonb not null,
  scopes        jsonb,                     -- null: the manifest's defaults
  vars          jsonb not null default '{}',
  is_active     boolean not null default true,
  created_at    timestamptz not null,
  updated_at    timestamptz not null,
  primary key (platform_id, app)
);
select assistiv_protect('mcp_app');

create table connection (
  platform_id         uuid not null,
  connection_id       uuid not null,
  end_user_id         uuid not null,
  app                 text not null,
  client_id           text not null,       -- the OAuth client that the grant belongs to
  provider_account_id text not null,
  account_label       text not null,
  status              text not null check (status in ('active', 'needs_reauth', 'revoked')),
  status_reason       text,
  scopes              jsonb not null,      -- granted
  vars                jsonb not null,
  created_at          timestamptz not null,
  updated_at          timestamptz not null,
  last_used_at        timestamptz,
  primary key (platform_id, connection_id),
  unique (platform_id, end_user_id, app, provider_account_id),
  foreign key (platform_id, end_user_id) references end_user on delete cascade,
  foreign key (platform_id, app) references mcp_app on delete cascade
);
create index connection_by_app on connection (platform_id, app);
-- Who else uses this grant: asked across tenants before a whole grant is revoked.
create index connection_by_account on connection (app, client_id, provider_account_id);
select assistiv_protect('connection');

create table credential (
  platform_id            uuid not null,
  credential_id          uuid not null,
  connection_id          uuid not null,
  slot                   text not null,
  access_token           text not null,    -- sealed
  refresh_token          text,             -- sealed
  previous_refresh_token text,             -- sealed; one generation back
  expires_at             timestamptz,      -- null: does not expire
  refresh_expires_at     timestamptz,
  obtained_at            timestamptz not null,
  version                bigint not null,
  lease_owner            uuid,
  lease_until            timestamptz,
  outcome_unknown        boolean not null default false,  -- a refresh was sent and its end is not known
  written_by             uuid,             -- the lease that wrote this version
  failures               integer not null default 0,
  retry_at               timestamptz,      -- no refresh before that
  idle_refresh_at        timestamptz,      -- when an unused grant is refreshed to keep it alive
  primary key (platform_id, credential_id),
  unique (platform_id, connection_id, slot),
  foreign key (platform_id, connection_id) references connection on delete cascade
);
create index credential_idle on credential (idle_refresh_at) where idle_refresh_at is not null;
select assistiv_protect('credential');

create table connect_link (
  platform_id   uuid not null,
  token_hash    text not null,             -- SHA-256, hex
  end_user_id   uuid not null,
  app           text not null,
  return_url    text,
  vars          jsonb not null,
  connection_id uuid,                      -- the connection to repair
  created_at    timestamptz not null,
  expires_at    timestamptz not null,
  consumed_at   timestamptz,
  primary key (platform_id, token_hash),
  foreign key (platform_id, end_user_id) references end_user on delete cascade,
  foreign key (platform_id, app) references mcp_app on delete cascade
);
create index connect_link_by_token on connect_link (token_hash);
create index connect_link_by_age on connect_link (expires_at);
select assistiv_protect('connect_link');

create table connect_flow (
  platform_id   uuid not null,
  flow_id       uuid not null,
  state_hash    text not null,             -- SHA-256, hex
  cookie_hash   text not null,
  end_user_id   uuid not null,
  app           text not null,
  client_id     text not null,
  code_verifier text,                      -- sealed; null without PKCE
  redirect_uri  text not null,
  return_url    text,
  vars          jsonb not null,
  scopes        jsonb not null,            -- asked for
  connection_id uuid,                      -- the connection to repair
  status        text not null check (status in ('started', 'consumed', 'awaiting_confirmation', 'finished')),
  outcome       text,                      -- sealed; the tokens that wait for the platform's confirmation
  created_at    timestamptz not null,
  expires_at    timestamptz not null,
  primary key (platform_id, flow_id),
  foreign key (platform_id, end_user_id) references end_user on delete cascade,
  foreign key (platform_id, app) references mcp_app on delete cascade
);
create index connect_flow_by_state on connect_flow (state_hash);
create index connect_flow_by_age on connect_flow (expires_at);
select assistiv_protect('connect_flow');

-- No foreign keys: a token must die at the provider also when its platform is gone.
create table upstream_revocation (
  platform_id   uuid not null,
  revocation_id uuid not null,
  app           text not null,
  account_id    text not null,
  client_id     text not null,
  payload       text not null,             -- sealed; the tokens and the client's secret
  attempts      integer not null default 0,
  due_at        timestamptz not null,
  created_at    timestamptz not null,
  primary key (platform_id, revocation_id)
);
create index upstream_revocation_due on upstream_revocation (due_at);
select assistiv_protect('upstream_revocation');
