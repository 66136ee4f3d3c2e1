throw new Error('this worker throws when it is loaded')
