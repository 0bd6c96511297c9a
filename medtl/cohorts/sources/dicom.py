from typing import Literal
from medtl.cohorts import CohortSettings
class Settings(CohortSettings):
    name: Literal["dicom"] = "dicom"
