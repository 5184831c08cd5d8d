import { buildEndpointUrl } from './endpoint-url.js'

for (const element of document.querySelectorAll('[data-path]')) {
  element.textContent = buildEndpointUrl(element.dataset.path)
}
