-- grain:  one row per referral code with enough measurements to be looked at
-- inputs: params, integrity_device, stratum_tally, sample_stratum
-- rule:   tests, representative samples and devices of the code, networks together, since a person's habit is one
with
measured as (
    select
        integrity_device.referral_code,
        cast(sum(integrity_device.n_measurements) as bigint) as n_measurements,
        count(*) as n_devices,
        max(integrity_device.n_measurements) as n_of_busiest
    from integrity_device
    cross join params
    group by integrity_device.referral_code, params.integrity_measurements_minimum
    having sum(integrity_device.n_measurements) >= params.integrity_measurements_minimum
),
sampled as (
    select sample_stratum.holder as referral_code, cast(sum(stratum_tally.n_samples) as bigint) as n_samples
    from stratum_tally
    inner join sample_stratum on sample_stratum.stratum_number = stratum_tally.stratum_number
    where sample_stratum.scope = 'referral_code'
    group by sample_stratum.holder
),
code as (
    select measured.*, sampled.n_samples
    from measured
    inner join sampled on sampled.referral_code = measured.referral_code
)
select * from code
