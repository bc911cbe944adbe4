-- grain:  one row per referral code and indicator of who measures with it
-- inputs: integrity_code, integrity_device
-- rule:   n_hits of n_cases, each a case that could have been a hit; for a mean, each test or sample after the first
--         is a hit where it adds no sample or device
with
-- Another code of another holder: a code may pass to a new holder, and a holder may get a new code.
device as (
    select
        device_key,
        case
            when min(referral_code) <> max(referral_code) and min(first_holder) <> max(last_holder) then 1
            else 0
        end as is_shared
    from integrity_device
    where is_told = 1 and first_holder is not null
    group by device_key
),
shared as (
    select
        integrity_device.referral_code,
        count(*) as n_devices,
        cast(sum(device.is_shared) as bigint) as n_shared
    from integrity_device
    inner join device on device.device_key = integrity_device.device_key
    where integrity_device.first_holder is not null
    group by integrity_device.referral_code
),
evidence as (
    select
        referral_code,
        'measurements_per_sample' as indicator,
        n_measurements - 1 as n_cases,
        n_measurements - n_samples as n_hits,
        cast(n_measurements as varchar(20)) || ' lượt đo / ' || cast(n_samples as varchar(20)) || ' mẫu đại diện / '
            || cast(n_devices as varchar(20)) || ' thiết bị' as evidence
    from integrity_code
    union all
    select
        referral_code,
        'samples_per_device' as indicator,
        n_samples - 1 as n_cases,
        n_samples - n_devices as n_hits,
        cast(n_samples as varchar(20)) || ' mẫu đại diện / ' || cast(n_devices as varchar(20)) || ' thiết bị' as evidence
    from integrity_code
    union all
    select
        referral_code,
        'top_device_share' as indicator,
        n_measurements as n_cases,
        n_of_busiest as n_hits,
        cast(n_of_busiest as varchar(20)) || ' lượt của một thiết bị / ' || cast(n_measurements as varchar(20))
            || ' lượt đo' as evidence
    from integrity_code
    union all
    select
        referral_code,
        'shared_device_share' as indicator,
        n_devices as n_cases,
        n_shared as n_hits,
        cast(n_shared as varchar(20)) || ' thiết bị còn đo cho đơn vị khác / ' || cast(n_devices as varchar(20))
            || ' thiết bị' as evidence
    from shared
)
select * from evidence
