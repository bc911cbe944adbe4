-- grain:  one row per representative sample measured without a referral code
-- inputs: core_measurement
-- rule:   ranked by download within commune, operator and technology, n of them there
with
sample as (
    select
        commune_code,
        commune_valid_from,
        operator,
        technology,
        device_key,
        window_start,
        median(download_mbps) as download_mbps
    from core_measurement
    where referral_code is null and commune_code is not null and operator <> 'unknown'
    group by commune_code, commune_valid_from, operator, technology, device_key, window_start
),
ranked as (
    select
        commune_code,
        commune_valid_from,
        operator,
        technology,
        download_mbps,
        row_number() over (
            partition by commune_code, commune_valid_from, operator, technology order by download_mbps
        ) as place,
        count(*) over (partition by commune_code, commune_valid_from, operator, technology) as n
    from sample
)
select * from ranked
