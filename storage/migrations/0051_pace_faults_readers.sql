-- How fast refreshes may go to a provider's token endpoint, over all nodes (oauth/connect/refresh_pace_store.h). One row for each
-- OAuth client at it, whichever tenants share it, and one for each tenant's part; neither names a tenant.
create table refresh_pace (
  pace_key   text primary key,             -- SHA-256 of the endpoint and the client (and of whose part it is), hex
  busy_until timestamptz not null,         -- when all turns that were given out would be used up at the steady rate
  not_before timestamptz                   -- the provider wants no refresh before
);

-- Why a manifest that serves is left out all the same: the rules of this version refuse it, or names clash. Null: it is not.
alter table own_app_manifest add column fault text;

-- Until when the process that holds the stream of a session of the 2024-11-05 transport is known to be there: the session
-- ends with its stream, also where the process could not say so. Null: another transport's, or made by an older version.
alter table mcp_session add column read_until timestamptz;
