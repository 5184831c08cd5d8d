import { testRedisEngine } from '../helpers/redis-conformance.ts'

testRedisEngine('redis')
