-- What became of job :'job', as one JSON object.
select coalesce(
    (select json_build_object('state', case d.reason when '' then '' else 'dead' end, 'reason', d.reason, 'error', d.error)
     from automation.dead_letters d where d.job_id = :'job'),
    (select json_build_object('state', case l.outcome when 0 then 'done' when 5 then 'skipped' else l.outcome::text end, 'kind', l.kind, 'queue', l.queue,
        'tenant', l.tenant_id) from automation.execution_logs l where l.execution_id = :'job'),
    (select json_build_object('state', case when g.snoozes > 0 then 'snoozed' when g.due_at > now() then 'scheduled' else 'waiting' end,
        'due', g.due_at::date) from automation_priv.ledger g where g.job_id = :'job'),
    '{"state": "none"}'::json);
