-- grain:  one row per cell that has an interval of its median download
-- inputs: cell_figure
-- rule:   1 + the number of others of the same kind, network and subkey whose interval lies wholly above: overlapping
--         intervals share a rank, since the data cannot tell which is faster
with
contender as (
    select cell, network, cell_key, cell_subkey, download_mbps_ci_low, download_mbps_ci_high
    from cell_figure
    where cell in ('commune', 'commune_technology', 'operator') and download_mbps_ci_low is not null
),
above as (
    select contender.cell, contender.network, contender.cell_key, contender.cell_subkey, count(*) as n_above
    from contender
    inner join contender as other
        on other.cell = contender.cell
            and other.network = contender.network
            and other.cell_subkey = contender.cell_subkey
            and other.download_mbps_ci_low > contender.download_mbps_ci_high
    group by contender.cell, contender.network, contender.cell_key, contender.cell_subkey
),
ranked as (
    select
        contender.cell,
        contender.network,
        contender.cell_key,
        contender.cell_subkey,
        1 + coalesce(above.n_above, 0) as download_mbps_median_rank,
        count(*) over (partition by contender.cell, contender.network, contender.cell_subkey) as n_ranked
    from contender
    left join above
        on above.cell = contender.cell
            and above.network = contender.network
            and above.cell_key = contender.cell_key
            and above.cell_subkey = contender.cell_subkey
)
select * from ranked
