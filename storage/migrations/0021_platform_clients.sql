-- Confidential clients that a platform registered (oauth/authorize): for one end user by themselves (client_credentials),
-- or for whom the platform's issuer names in a grant (ID-JAG).
create table platform_client (
  platform_id uuid not null references platform on delete cascade,
  client_id   text not null,
  end_user_id uuid,                        -- null: acts with grants of the platform's issuers only
  name        text not null,
  auth        text not null check (auth in ('client_secret_basic', 'private_key_jwt')),
  secret_hash text,                        -- SHA-256, hex; of client_secret_basic
  jwks        jsonb,                       -- public keys; of private_key_jwt
  created_at  timestamptz not null,
  primary key (platform_id, client_id),
  foreign key (platform_id, end_user_id) references end_user on delete cascade
);
create unique index platform_client_by_id on platform_client (client_id);
select assistiv_protect('platform_client');

-- Assertions and grants (RFC 7523) that were used, until they have expired: each works once, on any node.
create table used_assertion (
  platform_id    uuid not null references platform on delete cascade,
  assertion_hash text not null,            -- SHA-256 of who made it and its jti, hex
  expires_at     timestamptz not null,
  primary key (platform_id, assertion_hash)
);
create index used_assertion_by_age on used_assertion (expires_at);
select assistiv_protect('used_assertion');
