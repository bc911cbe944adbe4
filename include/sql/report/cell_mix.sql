-- grain:  one row per cell that pools technologies and operators
-- inputs: params, cell_listed, cell_stratum, cell_device, stratum_tally, sample_stratum
-- rule:   what is in its figures, by representative samples; with few devices that would tell of persons
with
part as (
    select
        cell_listed.cell,
        cell_listed.network,
        cell_listed.cell_key,
        cell_listed.cell_subkey,
        cell_listed.cell_number,
        sample_stratum.technology,
        sample_stratum.operator,
        stratum_tally.n_samples
    from cell_listed
    inner join cell_device on cell_device.cell_number = cell_listed.cell_number
    cross join params
    inner join cell_stratum on cell_stratum.cell_number = cell_listed.cell_number
    inner join sample_stratum on sample_stratum.stratum_number = cell_stratum.stratum_number
    inner join stratum_tally on stratum_tally.stratum_number = cell_stratum.stratum_number
    where cell_listed.cell in ('commune', 'referral_code', 'organisation', 'province')
        and cell_device.n_devices >= params.device_minimum
),
tally as (
    select
        cell,
        network,
        cell_key,
        cell_subkey,
        cell_number,
        cast(sum(n_samples) as bigint) as n_samples,
        cast(sum(case when technology = '5G' then n_samples else 0 end) as bigint) as n_5g,
        cast(sum(case when technology = '4G' then n_samples else 0 end) as bigint) as n_4g,
        cast(sum(case when technology = '3G' then n_samples else 0 end) as bigint) as n_3g,
        cast(sum(case when technology = '2G' then n_samples else 0 end) as bigint) as n_2g,
        cast(sum(case when technology = 'WiFi' then n_samples else 0 end) as bigint) as n_wifi,
        cast(sum(case when technology = 'Cố định' then n_samples else 0 end) as bigint) as n_fixed
    from part
    group by cell, network, cell_key, cell_subkey, cell_number
),
operator_tally as (
    select cell_number, operator, cast(sum(n_samples) as bigint) as n_samples
    from part
    group by cell_number, operator
),
operator_place as (
    select
        operator_tally.*,
        row_number() over (partition by cell_number order by n_samples desc, operator) as place
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
    inner join operator_place on operator_place.cell_number = tally.cell_number and operator_place.place = 1
)
select * from mix
