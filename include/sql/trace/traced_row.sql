-- grain:  one row per row of the asked file that has the asked outcome and reason
-- inputs: asked_outcome (source_file, outcome, reason), staging_measurement, quarantine_measurement, core_measurement,
--         flag_measurement
-- rule:   the rows that report_quality_month counts; what a person reads beside them is of the quarantine only
with
told as (
    select source_file, row_number, 'raw' as outcome, '' as reason, cast(null as varchar) as detail
    from staging_measurement
    union all
    select source_file, row_number, 'accepted' as outcome, '' as reason, cast(null as varchar) as detail
    from core_measurement
    union all
    select source_file, row_number, 'quarantined' as outcome, reason, detail
    from quarantine_measurement
    union all
    select source_file, row_number, 'flagged' as outcome, reason, cast(null as varchar) as detail
    from flag_measurement
),
traced as (
    select told.*
    from told
    inner join asked_outcome
        on asked_outcome.source_file = told.source_file
            and asked_outcome.outcome = told.outcome
            and asked_outcome.reason = told.reason
)
select * from traced
