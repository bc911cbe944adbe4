-- grain:  one row per commune of the province as of the month's last day
-- inputs: params, commune
-- rule:   units change on the first of a month, so the last day is every day's map
with
month_commune as (
    select commune.*
    from commune
    cross join params
    where commune.province_code = params.province_code
        and params.last_day between commune.valid_from and commune.valid_to
)
select * from month_commune
