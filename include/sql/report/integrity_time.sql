-- grain:  one row per referral code and indicator of when it is measured with
-- inputs: core_measurement, integrity_rule, integrity_code, integrity_device
-- rule:   n_hits of n_cases; intervals within a day and a device, and only of devices with many tests: few are busy
with
timed as (
    select
        integrity_device.referral_code,
        cast(sum(integrity_device.n_measurements) as bigint) as n_measurements,
        cast(sum(greatest(integrity_device.n_before_return - integrity_rule.deadline_measurements, 0)) as bigint)
            as n_before_return,
        cast(sum(greatest(integrity_device.n_before_end - integrity_rule.deadline_measurements, 0)) as bigint) as n_before_end,
        cast(sum(integrity_device.n_at_night) as bigint) as n_at_night,
        count(case when integrity_device.n_before_return > 0 then 1 end) as n_devices_before_return,
        count(case when integrity_device.n_before_end > 0 then 1 end) as n_devices_before_end
    from integrity_device
    cross join integrity_rule
    group by integrity_device.referral_code
),
busy as (
    select integrity_device.referral_code, integrity_device.device_key
    from integrity_device
    cross join integrity_rule
    where integrity_device.n_measurements >= integrity_rule.interval_measurements
),
busy_test as (
    select
        core_measurement.referral_code,
        core_measurement.device_key,
        core_measurement.measured_on,
        cast(extract(hour from core_measurement.measured_at) as int) * 3600
            + cast(extract(minute from core_measurement.measured_at) as int) * 60
            + cast(extract(second from core_measurement.measured_at) as int) as second_of_day
    from core_measurement
    inner join busy
        on busy.referral_code = core_measurement.referral_code and busy.device_key = core_measurement.device_key
),
paced as (
    select
        *,
        second_of_day
            - lag(second_of_day, 1) over (partition by referral_code, device_key, measured_on order by second_of_day)
            as seconds,
        lag(second_of_day, 1) over (partition by referral_code, device_key, measured_on order by second_of_day)
            - lag(second_of_day, 2) over (partition by referral_code, device_key, measured_on order by second_of_day)
            as seconds_before
    from busy_test
),
interval_pair as (
    select
        paced.referral_code,
        count(*) as n_pairs,
        count(case when abs(paced.seconds - paced.seconds_before) <= integrity_rule.interval_tolerance_s then 1 end) as n_equal
    from paced
    cross join integrity_rule
    where paced.seconds between integrity_rule.interval_min_s and integrity_rule.interval_max_s
        and paced.seconds_before between integrity_rule.interval_min_s and integrity_rule.interval_max_s
    group by paced.referral_code
),
evidence as (
    select
        timed.referral_code,
        'night_share' as indicator,
        timed.n_measurements as n_cases,
        timed.n_at_night as n_hits,
        cast(timed.n_at_night as varchar(20)) || ' lượt đo từ ' || cast(integrity_rule.night_from_hour as varchar(20))
            || ' giờ đến ' || cast(integrity_rule.night_to_hour as varchar(20)) || ' giờ sáng / '
            || cast(timed.n_measurements as varchar(20)) || ' lượt đo' as evidence
    from timed
    cross join integrity_rule
    union all
    select
        timed.referral_code,
        'deadline_repeat_share' as indicator,
        timed.n_measurements as n_cases,
        greatest(timed.n_before_return, timed.n_before_end) as n_hits,
        case
            when timed.n_before_return > timed.n_before_end
                then cast(timed.n_before_return as varchar(20)) || ' lượt đo thêm trong '
                    || cast(integrity_rule.deadline_days as varchar(20)) || ' ngày trước hạn báo cáo ('
                    || cast(timed.n_devices_before_return as varchar(20)) || ' thiết bị) / '
            else cast(timed.n_before_end as varchar(20)) || ' lượt đo thêm trong '
                || cast(integrity_rule.deadline_days as varchar(20)) || ' ngày cuối tháng ('
                || cast(timed.n_devices_before_end as varchar(20)) || ' thiết bị) / '
        end || cast(timed.n_measurements as varchar(20)) || ' lượt đo' as evidence
    from timed
    cross join integrity_rule
    union all
    select
        referral_code,
        'regular_interval_share' as indicator,
        n_pairs as n_cases,
        n_equal as n_hits,
        cast(n_equal as varchar(20)) || ' quãng nghỉ bằng quãng nghỉ liền trước / ' || cast(n_pairs as varchar(20))
            || ' cặp quãng nghỉ' as evidence
    from interval_pair
)
select * from evidence
