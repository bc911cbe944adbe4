-- grain:  one row per commune of the province that is valid on any day of the month
-- inputs: params, commune
-- rule:   where a code means two units within the month, the later one stands here, and the suite stops the month
with
valid as (
    select
        commune.*,
        row_number() over (partition by commune.commune_code order by commune.valid_from desc) as place
    from commune
    cross join params
    where commune.province_code = params.province_code
        and commune.valid_from <= params.last_day
        and commune.valid_to >= params.first_day
),
month_commune as (
    select * from valid where place = 1
)
select * from month_commune
