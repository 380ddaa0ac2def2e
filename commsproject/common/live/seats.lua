-- How many sockets each web process has of a person or of an address: KEYS[2] and on, a hash each, by
-- process. Only those of processes that live count: KEYS[1], scored by when that ends unless they
-- say so again. Time is this server's: hosts' clocks differ.
-- ARGV[1]: what to do, as below. ARGV[2]: the process. ARGV[3]: milliseconds.
-- "live": it lives for so long; 0 where it is not known to, and nothing is done.
-- "begin": it lives for so long, and ARGV[4], which it was until now, does not.
-- "take": ARGV[4], ARGV[6] ...: its sockets with the new one; ARGV[5], ARGV[7] ...: the most there
--   may be of all processes. 0, and its are kept for so long; or which key is full, and nothing is done.
-- "say": ARGV[4], ARGV[5] ...: its sockets now, kept for so long.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local process, lasts = ARGV[2], tonumber(ARGV[3])

local function lives(one)
  return tonumber(redis.call('ZSCORE', KEYS[1], one) or 0) > now
end

local function of_others(key)
  local counts, sum = redis.call('HGETALL', key), 0
  for i = 1, #counts, 2 do
    if counts[i] ~= process then
      if lives(counts[i]) then
        sum = sum + tonumber(counts[i + 1])
      else
        redis.call('HDEL', key, counts[i])
      end
    end
  end
  return sum
end

local function say(key, count)
  if count == '0' then
    redis.call('HDEL', key, process)
  else
    redis.call('HSET', key, process, count)
    redis.call('PEXPIRE', key, lasts)
  end
end

if ARGV[1] == 'live' or ARGV[1] == 'begin' then
  if ARGV[1] == 'live' and not lives(process) then return 0 end
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
  if ARGV[1] == 'begin' then redis.call('ZREM', KEYS[1], ARGV[4]) end
  redis.call('ZADD', KEYS[1], now + lasts, process)
  return 1
end

if ARGV[1] == 'take' then
  for i = 2, #KEYS do
    if of_others(KEYS[i]) + tonumber(ARGV[2 * i]) > tonumber(ARGV[2 * i + 1]) then return i - 1 end
  end
  for i = 2, #KEYS do say(KEYS[i], ARGV[2 * i]) end
  return 0
end

for i = 2, #KEYS do say(KEYS[i], ARGV[2 + i]) end
return 0
