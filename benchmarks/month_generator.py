"""A month of as many measurements as wanted, for timing: one csv of the default source contract, written by DuckDB.

    python benchmarks/month_generator.py ROWS FOLDER

The communes, operators and referral codes are those of the seed registry; devices, days and speeds come from hashes of
a row's number, so that the same seed gives the same month. Devices measure on few days each, near home, sometimes
again within minutes; a referral code belongs to a device. One row in a hundred or so is one for the quarantine, and
models such as "iPhone13,2" are quoted. A month that is there already is kept.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

INCLUDE = Path(__file__).parents[1] / "include"
MONTH = "2024-10"
SEED = 20241001


def generate(n_rows: int, folder: Path, seed: int = SEED) -> Path:
    """Write `folder/2024-10/ispeed_2024-10.csv` of `n_rows` measurements, unless it is there. Returns its path."""
    path = folder / MONTH / f"ispeed_{MONTH}.csv"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with duckdb.connect() as connection:
        # In the order of the rows' numbers, so that the same seed gives the same file.
        connection.execute("set preserve_insertion_order = true; set memory_limit = '2GB'")
        connection.execute("set temp_directory = $folder", {"folder": str(path.parent / ".spilled")})
        for name in ("communes", "operators", "referral_codes"):
            connection.execute(
                f"create table {name} as select * from read_csv(?, all_varchar = true, nullstr = '')",
                [str(INCLUDE / "registry" / f"{name}.csv")],
            )
        connection.execute(_MACROS)
        connection.execute(_DEVICES, {"n_devices": max(n_rows // 5, 50), "seed": seed})
        connection.execute(
            f"copy ({_ROWS.format(n_rows=int(n_rows), seed=int(seed))}) to '{part}' (header, delimiter ',')"
        )
    part.rename(path)
    (path.parent / ".done").touch()
    return path


_MACROS = """
-- Hashed twice: two hashes of one number with two texts are no strangers to one another.
create macro scatter(number, what) as hash(xor(hash(number), hash(what)));
create macro chance(number, what) as (scatter(number, what) >> 11) / 9007199254740992.0;
create macro pick(number, what, n) as cast(scatter(number, what) % cast(n as ubigint) as int);
-- A bell with long tails to either side: the logarithm of a speed.
create macro bell(number, what) as
    chance(number, what || '1') + chance(number, what || '2') + chance(number, what || '3') - 1.5;
"""

_DEVICES = """
create table device as
with
commune as (
    -- A few towns have most of the people.
    select *, row_number() over (order by commune_code) - 1 as place, count(*) over () as n
    from communes
    where province_code = '56' and (valid_from is null or valid_from <= '2024-10-01') and valid_to >= '2024-10-31'
),
code as (
    select *, row_number() over (order by referral_code) - 1 as place, count(*) over () as n
    from referral_codes
    where valid_from <= '2024-10-01' and (valid_to is null or valid_to >= '2024-10-31')
),
code_of_commune as (
    select holder_code, min(referral_code) as referral_code from code where holder_kind = 'commune' group by holder_code
),
numbered as (
    select
        range as device,
        range + $seed * 1000003::bigint as number,
        (select max(n) from commune) as n_communes,
        (select max(n) from code) as n_codes
    from range($n_devices)
)
select
    device,
    lower(hex(scatter(number, 'id'))) as device_id,
    commune.*,
    case when pick(number, 'coded', 10) < 4 then coalesce(code_of_commune.referral_code, code.referral_code)
        when pick(number, 'coded', 10) = 4 then code.referral_code
    end as referral_code,
    (['Viettel', 'VIETTEL', 'VNPT', 'VinaPhone', 'MobiFone', 'Vietnamobile', 'Viettel Telecom'])[
        1 + pick(number, 'operator', 7)] as operator,
    (['4G', '4G', '4G', '4G', '5G', '5G', '3G', '2G'])[1 + pick(number, 'technology', 8)] as mobile,
    (['WiFi', 'WiFi', 'WiFi', 'Cố định'])[1 + pick(number, 'fixed', 4)] as fixed,
    (['iOS 17.6', 'iOS 18.0', 'Android 12', 'Android 13', 'Android 14'])[1 + pick(number, 'os', 5)] as os,
    case
        when pick(number, 'os', 5) < 2
            then 'iPhone' || (11 + pick(number, 'model', 6)) || ',' || (1 + pick(number, 'm', 4))
        else (['SM-A556E', 'OPPO CPH2577', 'vivo V2120', 'Redmi Note 13'])[1 + pick(number, 'model', 4)]
    end as device_model,
    (['2.4.2', '2.5.0', '2.5.1'])[1 + pick(number, 'version', 3)] as app_version
from numbered
left join commune
    on commune.place = least(cast(floor(pow(chance(number, 'commune'), 1.6) * n_communes) as int), n_communes - 1)
left join code on code.place = pick(number, 'code', n_codes)
left join code_of_commune on code_of_commune.holder_code = commune.commune_code
order by device
"""

_ROWS = """
with
numbered as (
    -- A repeated row is the one a hundred rows before it, as it stands there.
    select
        range as place,
        case when range % 173 = 172 then range - 100 else range end + {seed} * 1000003::bigint as number
    from range({n_rows})
),
test as (
    select
        place,
        number,
        pick(number, 'device', (select count(*) from device)) as device,
        pick(number, 'odd', 1000) as odd
    from numbered
),
timed as (
    select
        test.*,
        device.* exclude (device),
        case when chance(number, 'fixed') < 0.2 then fixed else mobile end as technology,
        timestamp '2024-10-01' + to_seconds(
            86400 * pick(device * 31 + pick(number, 'visit', 8), 'day', 31)
            + cast(86399 * pow(chance(number, 'second'), 0.8) as int)
        ) as measured_at
    from test
    inner join device using (device)
),
figured as (
    select
        *,
        case technology when '5G' then 180 when '4G' then 38 when '3G' then 6 when '2G' then 0.15 else 70 end
            * exp(1.4 * bell(number, 'download') + 0.3 * bell(device, 'home')) as download,
        exp(3.4 + 1.1 * bell(number, 'ping')) as ping,
        chance(number, 'located') < 0.9 as is_located
    from timed
)
select
    'IS2410' || upper(format('{{:014x}}', scatter(number, 'measurement') >> 8)) as "Mã phép đo",
    case odd
        when 1 then '31/02/2024 10:00:00'
        when 2 then strftime(measured_at - interval '40' day, '%d/%m/%Y %H:%M:%S')
        else strftime(measured_at, '%d/%m/%Y %H:%M:%S')
    end as "Thời gian đo",
    case when odd >= 990 then null else device_id end as "Mã thiết bị",
    case odd when 3 then 'KHONG-CO' else referral_code end as "Mã giới thiệu",
    province_code as "Mã tỉnh",
    district_code as "Mã huyện",
    district_name as "Quận/Huyện",
    case when odd between 10 and 14 then '99999' when odd between 20 and 49 then null else commune_code end as "Mã xã",
    case
        when odd between 10 and 14 then 'Xã Không Có'
        else upper(left(kind, 1)) || substr(kind, 2) || ' ' || commune_name
    end as "Xã/Phường",
    operator as "Nhà mạng",
    case odd when 4 then null else technology end as "Loại mạng",
    case odd when 5 then '-1.00' when 6 then 'lỗi' else format('{{:.2f}}', greatest(download, 0.01)) end
        as "Download (Mbps)",
    case when odd between 50 and 79 then null else format('{{:.2f}}', greatest(download * 0.4, 0.01)) end
        as "Upload (Mbps)",
    format('{{:.2f}}', ping) as "Ping (ms)",
    format('{{:.2f}}', ping * chance(number, 'jitter') / 2) as "Jitter (ms)",
    format('{{:.2f}}', greatest(chance(number, 'loss') * 4 - 3, 0)) as "Tỷ lệ mất gói (%)",
    case when is_located then format('{{:.5f}}', 12.2 + chance(device, 'y') * 0.4 + chance(number, 'y') / 1000) end
        as "Vĩ độ",
    case when is_located then format('{{:.5f}}', 109 + chance(device, 'x') * 0.3 + chance(number, 'x') / 1000) end
        as "Kinh độ",
    case when is_located then cast(3 + pick(number, 'accuracy', 90) as varchar) end as "Sai số vị trí (m)",
    os as "Hệ điều hành",
    device_model as "Thiết bị",
    app_version as "Phiên bản"
from figured
order by place
"""

if __name__ == "__main__":
    print(generate(int(sys.argv[1]), Path(sys.argv[2])))
