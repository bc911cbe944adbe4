-- grain:  one row per referral code and indicator of what its tests found
-- inputs: core_measurement, core_sample, sample_stratum, integrity_uncoded, integrity_rank (the rank k of each n)
-- rule:   n_hits of n_cases; a result is repeated where download, upload, ping and jitter are those of another test of the
--         code; a sample is off where it lies beyond the 95 % interval of the median of those without a code, in the same
--         commune and by the same operator and technology
with
result as (
    select referral_code, count(*) as n_measurements
    from core_measurement
    where referral_code is not null and upload_mbps is not null and ping_ms is not null
    group by referral_code, technology, download_mbps, upload_mbps, ping_ms, jitter_ms
),
repeated as (
    select
        referral_code,
        cast(sum(n_measurements) as bigint) as n_measurements,
        cast(sum(case when n_measurements > 1 then n_measurements else 0 end) as bigint) as n_repeated
    from result
    group by referral_code
),
uncoded_interval as (
    select
        integrity_uncoded.commune_code,
        integrity_uncoded.commune_valid_from,
        integrity_uncoded.operator,
        integrity_uncoded.technology,
        max(case when integrity_uncoded.place = integrity_rank.k then integrity_uncoded.download_mbps end) as ci_low,
        max(
            case
                when integrity_uncoded.place = integrity_uncoded.n - integrity_rank.k + 1
                    then integrity_uncoded.download_mbps
            end
        ) as ci_high
    from integrity_uncoded
    inner join integrity_rank on integrity_rank.n = integrity_uncoded.n
    group by
        integrity_uncoded.commune_code,
        integrity_uncoded.commune_valid_from,
        integrity_uncoded.operator,
        integrity_uncoded.technology
),
compared as (
    select
        sample_stratum.holder as referral_code,
        count(*) as n_samples,
        count(case when core_sample.download_mbps > uncoded_interval.ci_high then 1 end) as n_faster,
        count(case when core_sample.download_mbps < uncoded_interval.ci_low then 1 end) as n_slower
    from core_sample
    inner join sample_stratum on sample_stratum.stratum_number = core_sample.stratum_number
    inner join uncoded_interval
        on uncoded_interval.commune_code = sample_stratum.commune_code
            and uncoded_interval.commune_valid_from = sample_stratum.commune_valid_from
            and uncoded_interval.operator = sample_stratum.operator
            and uncoded_interval.technology = sample_stratum.technology
    where sample_stratum.scope = 'referral_code'
    group by sample_stratum.holder
),
evidence as (
    select
        referral_code,
        'identical_result_share' as indicator,
        n_measurements as n_cases,
        n_repeated as n_hits,
        cast(n_repeated as varchar(20)) || ' lượt đo có kết quả giống hệt lượt khác / '
            || cast(n_measurements as varchar(20)) || ' lượt đo đủ kết quả' as evidence
    from repeated
    union all
    select
        referral_code,
        'speed_difference_share' as indicator,
        n_samples as n_cases,
        greatest(n_faster, n_slower) as n_hits,
        case
            when n_faster >= n_slower then cast(n_faster as varchar(20)) || ' mẫu nhanh hơn / '
            else cast(n_slower as varchar(20)) || ' mẫu chậm hơn / '
        end || cast(n_samples as varchar(20)) || ' mẫu so sánh được' as evidence
    from compared
)
select * from evidence
