-- Buckets, as limits.py describes them. ARGV[1] says which function at the end of this file.
--
-- A bucket is a hash: `<slot>` -> tokens taken in that slot of time, `<line>` -> the time up to
-- which turns have been promised to those who were refused and wait in that line.

local SLOTS = 32
local VISITS = 16
local HORIZON = 300

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000

local function open(key, period)
  local length = period / SLOTS
  local bucket = {key = key, period = period, used = 0, slots = {}, lines = {}}
  bucket.slot = string.format('%.0f', math.floor(now / length))
  local found = redis.call('HGETALL', key)
  bucket.is_new = #found == 0
  for i = 1, #found, 2 do
    local slot, value = tonumber(found[i]), tonumber(found[i + 1])
    if not slot then
      bucket.lines[found[i]] = value
    else
      local back = (slot + 1) * length + period
      if back <= now then
        redis.call('HDEL', key, found[i])
      else
        bucket.used = bucket.used + value
        table.insert(bucket.slots, {back = back, tokens = value})
      end
    end
  end
  return bucket
end

local function use(bucket, tokens, keep)
  if tokens > 0 then
    redis.call('HINCRBY', bucket.key, bucket.slot, tokens)
    redis.call('EXPIRE', bucket.key, keep)
    bucket.used = bucket.used + tokens
    local back = (tonumber(bucket.slot) + 1) * bucket.period / SLOTS + bucket.period
    table.insert(bucket.slots, {back = back, tokens = tokens})
  end
end

-- When `tokens` will be free below the level `most`, if nobody takes any until then.
local function free_at(bucket, most, tokens)
  table.sort(bucket.slots, function(a, b) return a.back < b.back end)
  local free, at = most - bucket.used, now
  for _, slot in ipairs(bucket.slots) do
    if free >= tokens then break end
    free, at = free + slot.tokens, slot.back
  end
  return at
end

-- A turn in the line for what was refused: not all at once, and not before there is something.
local function wait(bucket, refused)
  local worth = math.min(refused, math.max(1, math.floor(bucket.most / VISITS)))
  local at = free_at(bucket, bucket.most, worth)
  if bucket.line ~= '' then
    at = math.max(at, bucket.lines[bucket.line] or 0)
    local next_turn = math.min(at + worth * bucket.period / bucket.most, now + HORIZON)
    redis.call('HSET', bucket.key, bucket.line, string.format('%.6f', next_turn))
    redis.call('EXPIRE', bucket.key, bucket.keep)
  end
  return at - now
end

-- KEYS: buckets. ARGV: messages wanted, then for each bucket seven values, named below.
-- Answers {granted or -1, {slot, free, seconds until tokens return, wait} of each bucket}.
local function take()
  local wanted = tonumber(ARGV[2])
  local buckets, granted = {}, wanted
  for i, key in ipairs(KEYS) do
    local at = 3 + (i - 1) * 7
    local bucket = open(key, tonumber(ARGV[at]))
    bucket.most = tonumber(ARGV[at + 1])
    bucket.per = tonumber(ARGV[at + 2])
    bucket.line = ARGV[at + 3]
    bucket.keep = ARGV[at + 4]
    local observed = tonumber(ARGV[at + 5])
    bucket.count = tonumber(ARGV[at + 6])
    -- -1: somebody could tell what was used lately, and need not unless this bucket has forgotten it.
    if bucket.is_new and observed == -1 and wanted > 0 then return {-1} end
    use(bucket, math.min(observed, bucket.count) - bucket.used, bucket.keep)
    bucket.free = math.max(0, bucket.most - bucket.used)
    granted = math.min(granted, bucket.free * bucket.per)
    buckets[i] = bucket
  end

  local answer = {granted}
  for _, bucket in ipairs(buckets) do
    local refused = math.ceil((wanted - granted) / bucket.per)
    use(bucket, math.ceil(granted / bucket.per), bucket.keep)
    local waits = 0
    if refused > 0 and bucket.free * bucket.per < wanted then waits = wait(bucket, refused) end
    if wanted == 0 then waits = math.max(0, (bucket.lines[bucket.line] or 0) - now) end
    local back = free_at(bucket, bucket.count, bucket.count - bucket.used + 1) - now
    table.insert(answer, {
      bucket.slot, math.max(0, bucket.count - bucket.used), string.format('%.6f', back),
      string.format('%.6f', waits),
    })
  end
  return answer
end

-- KEYS: buckets. ARGV: for each bucket its slot and the tokens that were not used.
local function give_back()
  for i, key in ipairs(KEYS) do
    local slot, unused = ARGV[i * 2], tonumber(ARGV[i * 2 + 1])
    local taken = tonumber(redis.call('HGET', key, slot) or 0)
    if taken > 0 then redis.call('HINCRBY', key, slot, -math.min(taken, unused)) end
  end
end

-- KEYS: first calls, retries. ARGV: period, calls made, retries wanted, floor, share, keep.
-- Answers how many retries may be made.
local function retry()
  local period, keep = tonumber(ARGV[2]), ARGV[7]
  local calls, retries = open(KEYS[1], period), open(KEYS[2], period)
  use(calls, tonumber(ARGV[3]), keep)
  local budget = math.floor(tonumber(ARGV[5]) + tonumber(ARGV[6]) * calls.used) - retries.used
  local granted = math.max(0, math.min(tonumber(ARGV[4]), budget))
  use(retries, granted, keep)
  return granted
end

return ({take = take, give_back = give_back, retry = retry})[ARGV[1]]()
