-- grain:  one row per referral code and indicator, for codes with enough measurements to say anything
-- inputs: params, core_measurement, core_sample, integrity_threshold
-- rule:   evidence with thresholds from policy, never a verdict; networks together, since a person's habit is one
with
device as (
    select referral_code, device_key, count(*) as n_measurements
    from core_measurement
    where referral_code is not null
    group by referral_code, device_key
),
busiest as (
    select
        referral_code,
        sum(n_measurements) as n_measurements,
        max(n_measurements) as n_of_busiest,
        count(*) as n_devices
    from device
    group by referral_code
),
sampled as (
    select holder as referral_code, count(*) as n_samples
    from core_sample
    where scope = 'referral_code'
    group by holder
),
mismatched as (
    select
        referral_code,
        count(*) as n_located,
        count(case when commune_code <> holder_code then 1 end) as n_mismatched
    from core_measurement
    where holder_kind = 'commune' and commune_code is not null
    group by referral_code
),
evidence as (
    select
        busiest.referral_code,
        'measurements_per_sample' as indicator,
        cast(busiest.n_measurements as double) / sampled.n_samples as value,
        cast(busiest.n_measurements as varchar(20)) || ' lượt đo / ' || cast(sampled.n_samples as varchar(20))
            || ' mẫu đại diện / ' || cast(busiest.n_devices as varchar(20)) || ' thiết bị' as evidence
    from busiest
    inner join sampled on sampled.referral_code = busiest.referral_code
    union all
    select
        referral_code,
        'top_device_share' as indicator,
        cast(n_of_busiest as double) / n_measurements as value,
        cast(n_of_busiest as varchar(20)) || ' lượt của một thiết bị / ' || cast(n_measurements as varchar(20))
            || ' lượt đo' as evidence
    from busiest
    union all
    select
        referral_code,
        'commune_mismatch_share' as indicator,
        cast(n_mismatched as double) / n_located as value,
        cast(n_mismatched as varchar(20)) || ' lượt đo ngoài xã của mã / ' || cast(n_located as varchar(20))
            || ' lượt đo xác định được xã' as evidence
    from mismatched
),
report as (
    select
        params.first_day as month,
        evidence.referral_code,
        evidence.indicator,
        cast(round(cast(evidence.value as decimal(18, 6)), 4) as double) as value,
        integrity_threshold.threshold,
        evidence.evidence
    from evidence
    inner join busiest on busiest.referral_code = evidence.referral_code
    inner join integrity_threshold on integrity_threshold.indicator = evidence.indicator
    cross join params
    where busiest.n_measurements >= params.integrity_measurements_minimum
)
select * from report
