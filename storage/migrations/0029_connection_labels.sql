-- Several accounts of one end user at one app: a name that people gave one, and which one is meant when none is named.

alter table connection add column label text, add column is_default boolean not null default false;
create unique index connection_default on connection (platform_id, end_user_id, app) where is_default;
-- The name that was typed on the connect page.
alter table connect_flow add column label text;
