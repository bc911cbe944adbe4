-- grain:  one row per source file, outcome and reason, zeros included
-- inputs: params, source_file (every file of the month and its rows), quarantine_measurement, core_measurement, flag_measurement, row_reason
-- rule:   raw = accepted + quarantined; flagged rows are among the accepted
with
accepted as (
    select source_file, count(*) as n_rows from core_measurement group by source_file
),
told as (
    select source_file, 'quarantined' as outcome, reason, count(*) as n_rows
    from quarantine_measurement
    group by source_file, reason
    union all
    select source_file, 'flagged' as outcome, reason, count(*) as n_rows
    from flag_measurement
    group by source_file, reason
),
counted as (
    select source_file, 'raw' as outcome, '' as reason, n_rows
    from source_file
    union all
    select source_file.source_file, 'accepted' as outcome, '' as reason, coalesce(accepted.n_rows, 0) as n_rows
    from source_file
    left join accepted on accepted.source_file = source_file.source_file
    union all
    select
        source_file.source_file, row_reason.outcome, row_reason.reason,
        coalesce(told.n_rows, 0) as n_rows
    from source_file
    cross join row_reason
    left join told
        on told.source_file = source_file.source_file
            and told.outcome = row_reason.outcome
            and told.reason = row_reason.reason
),
report as (
    select params.first_day as month, counted.*
    from counted
    cross join params
)
select * from report
