"""The tasks on object stores, ``aws.s3`` and ``minio`` (kestra.md §1.1, and Kestra's documentation of the types)."""

from tidewaiter.tasks.context import TaskType
from tidewaiter.tasks.s3 import downloads, listing, objects, uploads

S3: tuple[TaskType, ...] = (
    TaskType(uploads.Upload, uploads.run_upload),
    TaskType(uploads.MinioUpload, uploads.run_upload),
    TaskType(downloads.Download, downloads.run_download),
    TaskType(downloads.MinioDownload, downloads.run_download),
    TaskType(downloads.Downloads, downloads.run_downloads),
    TaskType(downloads.MinioDownloads, downloads.run_downloads),
    TaskType(listing.List, listing.run_list),
    TaskType(listing.MinioList, listing.run_list),
    TaskType(objects.Copy, objects.run_copy),
    TaskType(objects.MinioCopy, objects.run_copy),
    TaskType(objects.Delete, objects.run_delete),
    TaskType(objects.MinioDelete, objects.run_delete),
    TaskType(objects.DeleteList, objects.run_delete_list),
    TaskType(objects.MinioDeleteList, objects.run_delete_list),
    TaskType(objects.CreateBucket, objects.run_create_bucket),
    TaskType(objects.MinioCreateBucket, objects.run_create_minio_bucket),
)
"""Every task type that uses an object store."""
