-- Who is connected: one sorted set for each person, whose members are connections and what they do,
-- scored by when they end if nobody says more. Time is this server's: hosts' clocks differ.
-- ARGV[1]: "write" or "read". ARGV[2]: milliseconds that a connection lasts (write).
-- write: ARGV[2 + 2i - 1] and ARGV[2 + 2i]: for KEYS[i], the member that ends and the one that is.
-- read: returns for each key the members that are alive.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

if ARGV[1] == 'write' then
  local lasts = tonumber(ARGV[2])
  for i, key in ipairs(KEYS) do
    local before, after = ARGV[1 + 2 * i], ARGV[2 + 2 * i]
    if before ~= '' and before ~= after then redis.call('ZREM', key, before) end
    if after ~= '' then
      redis.call('ZADD', key, now + lasts, after)
      redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
      redis.call('PEXPIRE', key, lasts)
    end
  end
  return 0
end

local found = {}
for i, key in ipairs(KEYS) do
  found[i] = redis.call('ZRANGEBYSCORE', key, '(' .. now, '+inf')
end
return found
