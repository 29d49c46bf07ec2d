-- Every write of a run moves its lease: an index over it would make each of them a new row in all indexes. The lost
-- ones are among the few that run (agent_run_active).
drop index agent_run_lease;
