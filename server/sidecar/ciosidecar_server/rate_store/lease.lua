-- Exchange news of a workspace and take tokens of its bucket.
--
-- The bucket is the time up to which tokens are handed out (`until`): a lease of n tokens moves it by n / rate, and may
-- begin before now by the burst, at most. Leases are handed out one after the other, so the sidecars take turns.
--
-- KEYS  1: hash of the workspace   2: sorted set of the sidecars that asked lately
-- ARGV  1: sidecar   2: wanted tokens   3: returned tokens   4: full rate, 1/s   5: span, s   6: known fraction
--       7: least fraction   8: age of the last success, s, or -1   9: age of the latest throttled request, s, or -1
--       10: burst, s   11: lowering factor   12: raising a second   13: least time between lowerings, s
--       14: greatest time between successes, s   15: time to live, ms
-- Returns tokens, µs until they may be used, fraction, µs since the last lowering, sidecars.
local moment = redis.call('TIME')
local now = tonumber(moment[1]) * 1000000 + tonumber(moment[2])

-- Return a number of the hash. What is no number counts as absent; a time is never after `most`.
local function number(text, absent, most)
  local value = tonumber(text or nil)
  if value == nil or value ~= value then return absent end
  return math.min(value, most)
end

local known = redis.call('HMGET', KEYS[1], 'until', 'fraction', 'lowered', 'succeeded', 'raised')
local full = tonumber(ARGV[4]) / 1000000
local least = tonumber(ARGV[7])
local between = tonumber(ARGV[13]) * 1000000
local fraction = math.max(least, number(known[2], tonumber(ARGV[6]), 1))
local lowered = number(known[3], now - between, now)
local succeeded = number(known[4], lowered, now)
local raised = number(known[5], now, now)

local success_age = tonumber(ARGV[8])
if success_age >= 0 then
  succeeded = math.max(succeeded, now - success_age * 1000000)
  local since = math.min((now - raised) / 1000000, tonumber(ARGV[14]))
  fraction = math.min(1, fraction + tonumber(ARGV[12]) * since)
  raised = now
end

local throttled_age = tonumber(ARGV[9])
if throttled_age >= 0 and now - throttled_age * 1000000 >= lowered
    and not (succeeded > lowered and now - lowered < between) then
  fraction = math.max(least, fraction * tonumber(ARGV[11]))
  lowered = now
  raised = now
end

local rate = full * fraction
local wanted = tonumber(ARGV[2])
local lately = string.format('%.0f', now - 2000000 - 20 / rate)
-- The first writes are those that a full Redis refuses: after another write it would let them pass.
if wanted > 0 then
  redis.call('ZADD', KEYS[2], string.format('%.0f', now), ARGV[1])
  redis.call('PEXPIRE', KEYS[2], ARGV[15])
end
local sharers = math.max(1, redis.call('ZCOUNT', KEYS[2], lately, '+inf'))

local span = tonumber(ARGV[5]) * 1000000
local lease = math.max(span / sharers, 1 / rate)
-- A bucket that is further ahead than all leases together was not filled by them: the host's clock went back.
local handed_out = number(known[1], now, now + 1000000 + 4 * (sharers + 2) * lease)
handed_out = handed_out - tonumber(ARGV[3]) / rate
local tokens, start = 0, now
if wanted > 0 then
  tokens = math.min(wanted, math.max(1, math.floor(span * rate / sharers)))
  start = math.max(handed_out, now - math.max(tonumber(ARGV[10]) * 1000000, 1 / rate))
  handed_out = start + tokens / rate
end

redis.call('HSET', KEYS[1], 'until', string.format('%.0f', handed_out), 'fraction', string.format('%.9f', fraction),
  'lowered', string.format('%.0f', lowered), 'succeeded', string.format('%.0f', succeeded),
  'raised', string.format('%.0f', raised))
redis.call('PEXPIRE', KEYS[1], ARGV[15])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', lately)
return { tokens, string.format('%.0f', math.max(0, start - now)), string.format('%.9f', fraction),
  string.format('%.0f', now - lowered), sharers }
