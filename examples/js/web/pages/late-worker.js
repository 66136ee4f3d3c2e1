// The published worker client, loaded with a delay of `?late=MS`.
setTimeout(() => import('./worker.js'), +new URLSearchParams(location.search).get('late'))
