-- grain:  one row per referral code and indicator of where it is measured with
-- inputs: core_measurement, integrity_device
-- rule:   n_hits of n_cases; a device that stays an hour at one point is one case there, since a phone keeps its last
--         position; coordinates of 3 decimals and fewer say no more than a neighbourhood and are left out. Outside the
--         code's commune, the tests of the device with most of them are left out: one person may live elsewhere
with
stay as (
    select
        referral_code, device_key, date_trunc('hour', measured_at) as hour_start, latitude, longitude
    from core_measurement
    where referral_code is not null
        and latitude is not null
        and longitude is not null
        and (
            abs(latitude * 1000 - round(latitude * 1000)) > 0.0005
            or abs(longitude * 1000 - round(longitude * 1000)) > 0.0005
        )
    group by referral_code, device_key, date_trunc('hour', measured_at), latitude, longitude
),
point as (
    select referral_code, count(*) as n_stays
    from stay
    group by referral_code, latitude, longitude
),
busiest_point as (
    select referral_code, cast(sum(n_stays) as bigint) as n_stays, max(n_stays) as n_of_busiest
    from point
    group by referral_code
),
mismatched as (
    select
        referral_code,
        cast(sum(n_located) as bigint) - max(n_mismatched) as n_located,
        cast(sum(n_mismatched) as bigint) - max(n_mismatched) as n_mismatched
    from integrity_device
    group by referral_code
),
evidence as (
    select
        referral_code,
        'identical_coordinates_share' as indicator,
        n_stays as n_cases,
        n_of_busiest as n_hits,
        cast(n_of_busiest as varchar(20)) || ' đợt đo ở đúng một tọa độ / ' || cast(n_stays as varchar(20))
            || ' đợt đo có tọa độ' as evidence
    from busiest_point
    union all
    select
        referral_code,
        'commune_mismatch_share' as indicator,
        n_located as n_cases,
        n_mismatched as n_hits,
        cast(n_mismatched as varchar(20)) || ' lượt đo ngoài xã của mã / ' || cast(n_located as varchar(20))
            || ' lượt đo xác định được xã, không kể thiết bị đo ngoài xã nhiều nhất' as evidence
    from mismatched
)
select * from evidence
