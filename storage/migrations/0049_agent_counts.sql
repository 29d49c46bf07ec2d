-- What one owner has of threads and waiting runs is counted now and then, along an index (agents/store/owner_count_store.h).

-- The owner of the run's thread. Of rows that were there before it stays null: they count as the platform's own.
alter table agent_run add column end_user_id uuid;
-- A run that is taken as it is made never comes in here.
create index agent_run_waiting on agent_run (platform_id, end_user_id) where status = 'pending';
-- Those of end users are in agent_thread_by_user.
create index agent_thread_of_platform on agent_thread (platform_id) where end_user_id is null;
