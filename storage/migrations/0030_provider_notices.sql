-- What providers tell by themselves (oauth/connect/provider_notices.h).

-- How the provider of an activated app signs its notices.
create table provider_webhook (
  platform_id uuid not null,
  app         text not null,
  secret      text not null,               -- sealed
  created_at  timestamptz not null,
  updated_at  timestamptz not null,
  primary key (platform_id, app),
  foreign key (platform_id, app) references mcp_app on delete cascade
);
select assistiv_protect('provider_webhook');

-- Notices that were applied, so that the same one ends nothing twice.
create table provider_notice (
  platform_id uuid not null,
  app         text not null,
  digest      text not null,               -- SHA-256 of the signed text, hex
  received_at timestamptz not null,
  primary key (platform_id, app, digest),
  foreign key (platform_id, app) references mcp_app on delete cascade
);
select assistiv_protect('provider_notice');
