"""Objects in S3 or in a local folder, and the commit protocol on top. The only package that imports the S3 client."""
