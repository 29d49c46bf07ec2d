-- Apps that platforms bring themselves (mcp/connectors/own_app_service.h): every manifest that a platform submitted, with
-- what the operator said to it. One of an app serves, and at most one waits.

create table own_app_manifest (
  platform_id uuid not null references platform on delete cascade,
  manifest_id uuid not null,
  app         text not null,
  number      integer not null check (number > 0),   -- counts the manifests of the app
  title       text not null,
  version     text not null,
  document    text not null,               -- what was submitted is what is approved and served
  status      text not null check (status in ('pending', 'serving', 'refused', 'replaced', 'withdrawn')),
  reason      text,                        -- of a refusal
  created_at  timestamptz not null,
  decided_at  timestamptz,
  primary key (platform_id, manifest_id),
  unique (platform_id, app, number)
);
create unique index own_app_serving on own_app_manifest (platform_id, app) where status = 'serving';
create unique index own_app_pending on own_app_manifest (platform_id, app) where status = 'pending';
-- The operator's look-ups, across tenants.
create index own_app_by_id on own_app_manifest (manifest_id);
create index own_app_by_age on own_app_manifest (status, created_at);
select assistiv_protect('own_app_manifest');
