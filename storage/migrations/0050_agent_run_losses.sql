-- How often in a row a run lost its process without getting on (agents/store/run_queue_store.cpp). `progress` is what it had
-- recorded when it was lost last: steps and calls.

alter table agent_run add column losses integer not null default 0;
alter table agent_run add column progress bigint not null default 0;
