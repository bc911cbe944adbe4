-- grain:  one row per indicator that is watched, network and part (an operator, or operator and technology)
-- inputs: params, report_province_month, report_operator_month, core_measurement, compared_province, compared_operator, compared_device, drift_threshold
-- rule:   the month beside the median of the published months before; shares from publish_minimum, medians from assess_minimum measurements on
with
province as (
    select month, network, n_measurements, download_mbps_median from report_province_month
    union all
    select month, network, n_measurements, download_mbps_median from compared_province
),
operator as (
    select month, network, operator, technology, n_measurements, download_mbps_median from report_operator_month
    union all
    select month, network, operator, technology, n_measurements, download_mbps_median from compared_operator
),
device as (
    select params.first_day as month, network, device_hash, count(*) as n_measurements
    from core_measurement
    cross join params
    group by params.first_day, network, device_hash
    union all
    select month, network, device_hash, n_measurements from compared_device
),
measured as (
    select operator.month, operator.network, sum(operator.n_measurements) as n_measurements
    from operator
    cross join params
    group by operator.month, operator.network, params.publish_minimum
    having sum(operator.n_measurements) >= params.publish_minimum
),
-- An operator that a month does not have has a share of 0 there.
operator_met as (
    select distinct network, operator from operator
),
operator_share as (
    select
        measured.month,
        measured.network,
        operator_met.operator as part,
        cast(coalesce(sum(operator.n_measurements), 0) as double) / max(measured.n_measurements) as value
    from measured
    inner join operator_met on operator_met.network = measured.network
    left join operator
        on operator.month = measured.month
            and operator.network = measured.network
            and operator.operator = operator_met.operator
    group by measured.month, measured.network, operator_met.operator
),
no_device_share as (
    select
        measured.month,
        measured.network,
        cast(sum(case when device.device_hash is null then device.n_measurements else 0 end) as double)
            / sum(device.n_measurements) as value
    from measured
    inner join device on device.month = measured.month and device.network = measured.network
    group by measured.month, measured.network
),
known_device as (
    select distinct network, device_hash from compared_device where device_hash is not null
),
new_device_share as (
    select
        measured.month,
        measured.network,
        cast(count(case when known_device.device_hash is null then 1 end) as double) / count(*) as value
    from measured
    cross join params
    inner join device on device.month = measured.month and device.network = measured.network
    left join known_device
        on known_device.network = device.network and known_device.device_hash = device.device_hash
    where measured.month = params.first_day
        and device.device_hash is not null
        and measured.network in (select network from known_device)
    group by measured.month, measured.network
),
figure as (
    select month, network, 'volume' as indicator, '' as part, cast(n_measurements as double) as value from province
    union all
    select month, network, 'operator_share' as indicator, part, value from operator_share
    union all
    select month, network, 'no_device_share' as indicator, '' as part, value from no_device_share
    union all
    select month, network, 'download_median' as indicator, '' as part, download_mbps_median as value
    from province
    cross join params
    where n_measurements >= params.assess_minimum and download_mbps_median is not null
    union all
    select month, network, 'download_median' as indicator, operator || ' ' || technology as part, download_mbps_median as value
    from operator
    cross join params
    where n_measurements >= params.assess_minimum and download_mbps_median is not null
),
before as (
    select
        figure.network,
        figure.indicator,
        figure.part,
        percentile_cont(0.5) within group (order by figure.value) as typical,
        count(*) as n_months
    from figure
    cross join params
    where figure.month < params.first_day
    group by figure.network, figure.indicator, figure.part
),
compared as (
    select figure.network, figure.indicator, figure.part, figure.value, before.typical, before.n_months
    from figure
    cross join params
    inner join before
        on before.network = figure.network
            and before.indicator = figure.indicator
            and before.part = figure.part
    where figure.month = params.first_day
        and (figure.indicator <> 'volume' or greatest(figure.value, before.typical) >= params.publish_minimum)
    union all
    select network, 'new_device_share' as indicator, '' as part, value, cast(null as double) as typical, 0 as n_months
    from new_device_share
),
-- Rounded as decimals: at a half, engines round doubles each in their way.
written as (
    select
        *,
        case
            when indicator = 'volume' then cast(cast(round(cast(value as decimal(18, 6)), 0) as bigint) as varchar(20))
            when indicator = 'download_median'
                then replace(cast(cast(round(cast(value as decimal(18, 6)), 2) as decimal(18, 2)) as varchar(20)), '.', ',') || ' Mbps'
            else replace(cast(cast(round(cast(value * 100 as decimal(18, 6)), 1) as decimal(18, 1)) as varchar(20)), '.', ',') || '%'
        end as value_vi,
        case
            when indicator = 'volume' then cast(cast(round(cast(typical as decimal(18, 6)), 0) as bigint) as varchar(20))
            when indicator = 'download_median'
                then replace(cast(cast(round(cast(typical as decimal(18, 6)), 2) as decimal(18, 2)) as varchar(20)), '.', ',') || ' Mbps'
            else replace(cast(cast(round(cast(typical * 100 as decimal(18, 6)), 1) as decimal(18, 1)) as varchar(20)), '.', ',') || '%'
        end as typical_vi
    from compared
),
month_drift as (
    select
        written.network,
        written.indicator,
        written.part,
        written.value,
        written.typical,
        written.n_months,
        drift_threshold.threshold,
        case written.network when 'mobile' then 'Di động' else 'Cố định' end
            || case when written.part = '' then '' else ', ' || replace(written.part, 'unknown', 'không xác định') end
            || ': ' || written.value_vi
            || case
                when written.typical is null then ''
                else ', trước đó ' || written.typical_vi
                    || ' (trung vị của ' || cast(written.n_months as varchar(20)) || ' tháng)'
            end as finding_vi
    from written
    inner join drift_threshold on drift_threshold.indicator = written.indicator
)
select * from month_drift
