-- grain:  one row per referral code and device that measured with it
-- inputs: core_measurement, integrity_rule
-- rule:   a row without a device is a device of its own; holders are those of the day, so an unknown or expired code has none
with
device as (
    select
        core_measurement.referral_code,
        core_measurement.device_key,
        count(*) as n_measurements,
        count(
            case
                when core_measurement.measured_on between integrity_rule.return_first_day and integrity_rule.return_last_day
                    then 1
            end
        ) as n_before_return,
        count(
            case
                when core_measurement.measured_on between integrity_rule.end_first_day and integrity_rule.end_last_day
                    then 1
            end
        ) as n_before_end,
        count(
            case when core_measurement.holder_kind = 'commune' and core_measurement.commune_code is not null then 1 end
        ) as n_located,
        count(
            case
                when core_measurement.holder_kind = 'commune' and core_measurement.commune_code <> core_measurement.holder_code
                    then 1
            end
        ) as n_mismatched,
        count(
            case
                when extract(hour from core_measurement.measured_at) >= integrity_rule.night_from_hour
                    or extract(hour from core_measurement.measured_at) < integrity_rule.night_to_hour
                    then 1
            end
        ) as n_at_night,
        min(core_measurement.holder_code) as first_holder,
        max(core_measurement.holder_code) as last_holder,
        max(case when core_measurement.device_hash is not null then 1 else 0 end) as is_told
    from core_measurement
    cross join integrity_rule
    where core_measurement.referral_code is not null
    group by core_measurement.referral_code, core_measurement.device_key
)
select * from device
