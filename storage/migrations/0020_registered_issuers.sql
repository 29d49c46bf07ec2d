-- OpenID providers that platforms registered (oauth/authorize): their end users sign in there, and bring its tokens.
create table registered_issuer (
  platform_id            uuid not null references platform on delete cascade,
  issuer_id              uuid not null,
  issuer                 text not null,        -- byte for byte as its metadata says
  client_id              text not null,        -- this platform's client there
  client_secret          text,                 -- sealed; null: a public client
  token_auth             text not null check (token_auth in ('none', 'client_secret_basic', 'client_secret_post')),
  end_user_claim         text not null,        -- the claim that is the end user's external_id
  creates_end_users      boolean not null,     -- or only those that the platform made may come in
  sign_in                boolean not null,     -- its page is offered on ours
  authorization_endpoint text not null,
  token_endpoint         text not null,
  jwks_uri               text not null,
  names_itself           boolean not null,     -- answers carry iss (RFC 9207): then one without it is refused
  created_at             timestamptz not null,
  updated_at             timestamptz not null,
  primary key (platform_id, issuer_id),
  unique (platform_id, issuer)
);
create unique index registered_issuer_sign_in on registered_issuer (platform_id) where sign_in;
select assistiv_protect('registered_issuer');

-- Whose a token is: one tenant for each (issuer, audience), whichever tenant asked for it first. A provider that serves
-- many companies has one issuer for all of them.
create table issuer_audience (
  platform_id uuid not null,
  issuer_id   uuid not null,
  issuer      text not null,
  audience    text not null,
  is_bearer   boolean not null,                -- its tokens are taken in place of keys; else only at the end of a sign-in
  primary key (platform_id, issuer_id, audience),
  unique (issuer, audience),
  foreign key (platform_id, issuer_id) references registered_issuer on delete cascade
);
select assistiv_protect('issuer_audience');

-- A browser that was sent to a provider and has not come back yet.
create table provider_sign_in (
  platform_id  uuid not null,
  state_hash   text not null,                  -- SHA-256 of the state, hex; nonce and verifier are made of the state
  issuer_id    uuid not null,
  browser_hash text not null,                  -- SHA-256 of the cookie, hex
  query        text not null,                  -- of the authorization request to go on with
  created_at   timestamptz not null,
  expires_at   timestamptz not null,
  primary key (platform_id, state_hash),
  foreign key (platform_id, issuer_id) references registered_issuer on delete cascade
);
create index provider_sign_in_by_state on provider_sign_in (state_hash);
create index provider_sign_in_by_age on provider_sign_in (expires_at);
select assistiv_protect('provider_sign_in');

-- What came to be with a provider ends with its registration.
alter table sign_in_session add column issuer_id uuid;
alter table sign_in_session add foreign key (platform_id, issuer_id) references registered_issuer on delete cascade;
alter table client_authorization add column issuer_id uuid;
alter table client_authorization add foreign key (platform_id, issuer_id) references registered_issuer on delete cascade;
