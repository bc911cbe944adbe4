-- grain:  one row per cell that pools technologies and operators
-- inputs: params, cell_sample
-- rule:   what is in its figures, by representative samples; with few devices that would tell of persons
with
tally as (
    select
        cell,
        network,
        cell_key,
        cell_subkey,
        count(*) as n_samples,
        count(distinct device_key) as n_devices,
        count(case when technology = '5G' then 1 end) as n_5g,
        count(case when technology = '4G' then 1 end) as n_4g,
        count(case when technology = '3G' then 1 end) as n_3g,
        count(case when technology = '2G' then 1 end) as n_2g,
        count(case when technology = 'WiFi' then 1 end) as n_wifi,
        count(case when technology = 'Cố định' then 1 end) as n_fixed
    from cell_sample
    where cell in ('commune', 'referral_code', 'organisation', 'province')
    group by cell, network, cell_key, cell_subkey
),
operator_tally as (
    select cell, network, cell_key, cell_subkey, operator, count(*) as n_samples
    from cell_sample
    where cell in ('commune', 'referral_code', 'organisation', 'province')
    group by cell, network, cell_key, cell_subkey, operator
),
operator_place as (
    select
        operator_tally.*,
        row_number() over (
            partition by cell, network, cell_key, cell_subkey order by n_samples desc, operator
        ) as place
    from operator_tally
),
mix as (
    select
        tally.cell,
        tally.network,
        tally.cell_key,
        tally.cell_subkey,
        concat_ws(
            ', ',
            case when n_5g > 0 then '5G ' || cast(n_5g as varchar(20)) end,
            case when n_4g > 0 then '4G ' || cast(n_4g as varchar(20)) end,
            case when n_3g > 0 then '3G ' || cast(n_3g as varchar(20)) end,
            case when n_2g > 0 then '2G ' || cast(n_2g as varchar(20)) end,
            case when n_wifi > 0 then 'WiFi ' || cast(n_wifi as varchar(20)) end,
            case when n_fixed > 0 then 'Cố định ' || cast(n_fixed as varchar(20)) end
        ) as technology_mix,
        operator_place.operator as top_operator,
        cast(operator_place.n_samples as double) / tally.n_samples as top_operator_share
    from tally
    inner join operator_place
        on operator_place.cell = tally.cell
            and operator_place.network = tally.network
            and operator_place.cell_key = tally.cell_key
            and operator_place.cell_subkey = tally.cell_subkey
            and operator_place.place = 1
    cross join params
    where tally.n_devices >= params.device_minimum
)
select * from mix
