-- What a parked run waits for may have been settled before the run had parked: each wait is looked at once after it was
-- noted (agents/store/wait_store.h). `subject` of a connection is its app from here on; '' (older rows) is any app.

alter table agent_wait add column checked boolean not null default false;
alter table agent_wait add column seen text not null default '';  -- the app's connections as the run found them not enough
create index agent_wait_unchecked on agent_wait (platform_id, thread_id) where not checked and kind <> 'answer';

-- The connections that woke this run, by app: {"<app>": "<what agent_wait.seen holds>"}. If it asks again, only others do.
alter table agent_run add column woken_by text not null default '{}';
