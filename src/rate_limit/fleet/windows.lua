-- Windows of the UTC calendar in seconds, and counters as "start current previous sliding".
-- The rules are those of window.rs and table.rs; Redis's own clock is the only one.
local lengths = { s = 1, m = 60, h = 3600, d = 86400 }

-- Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
local function days_before(year, month)
  if month <= 2 then year = year - 1 end
  local era = math.floor(year / 400)
  local year_of_era = year - era * 400
  local shifted = month > 2 and month - 3 or month + 9
  local day_of_year = math.floor((153 * shifted + 2) / 5)
  local leaps = math.floor(year_of_era / 4) - math.floor(year_of_era / 100)
  return era * 146097 + year_of_era * 365 + leaps + day_of_year - 719468
end

local function year_and_month(day)
  day = day + 719468
  local era = math.floor(day / 146097)
  local doe = day - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524)
    - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local shifted = math.floor((5 * doy + 2) / 153)
  local month = shifted < 10 and shifted + 3 or shifted - 9
  return yoe + era * 400 + (month <= 2 and 1 or 0), month
end

local function window(unit, now)
  local length = lengths[unit]
  if length then
    local start = now - now % length
    return start, start + length
  end
  if unit == 'w' then
    local finish = now - (now + 259200) % 604800 + 604800
    return math.max(finish - 604800, 0), finish
  end
  local year, month = year_and_month(math.floor(now / 86400))
  if unit == 'y' then
    return days_before(year, 1) * 86400, days_before(year + 1, 1) * 86400
  end
  local next_year, next_month = year, month + 1
  if month == 12 then next_year, next_month = year + 1, 1 end
  return days_before(year, month) * 86400, days_before(next_year, next_month) * 86400
end

-- The counter in the window of now: start, end, current, previous, sliding.
local function read(key, unit, now)
  local start, finish = window(unit, now)
  local value = redis.call('GET', key)
  if not value then return start, finish, 0, 0, 0 end
  local s, c, p, sliding = string.match(value, '^(%d+) (%d+) (%d+) (%d)$')
  s, c, p = tonumber(s), tonumber(c), tonumber(p)
  -- A replica that was promoted may have a clock that lags a little.
  if not s or s > now + 5 then return start, finish, 0, 0, 0 end
  if s > now then start, finish = window(unit, s) end
  if s == start then return start, finish, c, p, tonumber(sliding) end
  local _, stored_finish = window(unit, s)
  return start, finish, 0, stored_finish == start and c or 0, 0
end

local function write(key, unit, now, start, finish, current, previous, sliding)
  local until_s = finish
  if sliding == 1 then
    local _, next_finish = window(unit, finish)
    until_s = next_finish
  end
  local value = string.format('%.0f %.0f %.0f %d', start, current, previous, sliding)
  redis.call('SET', key, value, 'EX', string.format('%.0f', math.max(until_s - now, 1)))
end

-- Redis 5 replicates effects by default; where that is switched off it must be asked for before TIME.
if redis.replicate_commands then redis.replicate_commands() end
local time = redis.call('TIME')
local now, now_ms = tonumber(time[1]), tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

