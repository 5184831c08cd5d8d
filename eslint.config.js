'use strict'

const neostandard = require('neostandard')
const { plugins } = neostandard

module.exports = [
  ...neostandard({
    ts: true,
    ignores: [
      'dist/**',
      'docs/.vitepress/{dist,cache}/**',
      'example/dist/**',
      '.tap/**',
      'test/types/mistakes/**'
    ]
  }),
  {
    files: ['example/pages/*.js', 'src/asyncapi/page/*.mjs'],
    languageOptions: { globals: require('globals').browser }
  },
  {
    rules: {
      'no-void': ['error', { allowAsStatement: true }],
      'max-len': ['error', { code: 100, ignoreUrls: true }]
    }
  },
  {
    files: ['src/**/*.ts', 'test/**/*.ts', 'example/**/*.ts'],
    languageOptions: { parserOptions: { projectService: true } },
    plugins: { '@typescript-eslint': plugins['typescript-eslint'].plugin },
    rules: {
      'max-lines': ['error', 400],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': [
        'error',
        { checksVoidReturn: { arguments: false, properties: false } }
      ],
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }]
    }
  },
  {
    files: ['scripts/**/*.js', 'bench/**/*.js'],
    rules: { 'max-lines': ['error', 400] }
  },
  {
    // Names of fields in Gossip's messages.
    files: ['example/gossip/**/*.ts', 'test/**/gossip*.ts'],
    rules: {
      camelcase: ['error', {
        properties: 'never',
        allow: ['^client_id$', '^client_secret$', '^sent_at$']
      }]
    }
  },
  {
    // Merged declarations repeat every type parameter of Fastify's, used or not.
    files: ['src/plugin/types.ts'],
    rules: { '@typescript-eslint/no-unused-vars': 'off' }
  },
  {
    files: ['src/**/*.ts'],
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      'no-console': 'error',
      'max-lines-per-function': ['error', 50]
    }
  }
]
