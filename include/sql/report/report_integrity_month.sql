-- grain:  one row per referral code and indicator, for codes with enough measurements to say anything
-- inputs: params, integrity_evidence, integrity_bound (the fewest hits of n_cases that chance does not explain)
-- rule:   evidence with thresholds from policy, never a verdict; networks together, since a person's habit is one
with
valued as (
    select
        integrity_evidence.referral_code,
        integrity_evidence.indicator,
        integrity_evidence.evidence,
        case
            when integrity_evidence.indicator like '%_share'
                then cast(integrity_evidence.n_hits as double) / integrity_evidence.n_cases
            else cast(integrity_evidence.n_cases + 1 as double)
                / (integrity_evidence.n_cases + 1 - integrity_evidence.n_hits)
        end as value,
        case
            when integrity_evidence.indicator like '%_share'
                then cast(integrity_bound.n_hits_minimum as double) / integrity_evidence.n_cases
            else cast(integrity_evidence.n_cases + 1 as double)
                / (integrity_evidence.n_cases + 1 - integrity_bound.n_hits_minimum)
        end as threshold
    from integrity_evidence
    inner join integrity_bound
        on integrity_bound.indicator = integrity_evidence.indicator
            and integrity_bound.n_cases = integrity_evidence.n_cases
),
report as (
    select
        params.first_day as month,
        valued.referral_code,
        valued.indicator,
        cast(cast(valued.value as decimal(18, 6)) as double) as value,
        cast(cast(valued.threshold as decimal(18, 6)) as double) as threshold,
        valued.evidence
    from valued
    cross join params
)
select * from report
